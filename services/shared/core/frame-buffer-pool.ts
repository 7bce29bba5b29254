export interface FrameBufferPoolOptions {
  /** Most bytes kept for reuse; what comes back beyond that is left to the garbage collector. */
  readonly maxBytes: number;
}

/**
 * Buffers of frames on their way round: ingest takes one, inference gives it back when the pixels have been read. Saves an allocation
 * (and its zeroing) of a few hundred kB per frame. A buffer is handed out as it came back: its old content is still there.
 */
export interface FrameBufferPool {
  /** A buffer of exactly this size that owns its ArrayBuffer. */
  take(byteLength: number): Uint8Array<ArrayBuffer>;
  /** Only for a buffer that nobody else reads or writes any more. One that was transferred away (length 0) is ignored. */
  give(data: Uint8Array<ArrayBuffer>): void;
  readonly heldBytes: number;
}

export function createFrameBufferPool(options: FrameBufferPoolOptions): FrameBufferPool {
  const bySize = new Map<number, Uint8Array<ArrayBuffer>[]>();
  let heldBytes = 0;

  function makeRoom(byteLength: number): boolean {
    // A size that is no longer in use (a camera changed its resolution) must not keep the others out: the oldest size goes first.
    for (const [size, buffers] of bySize) {
      while (heldBytes + byteLength > options.maxBytes && size !== byteLength && buffers.pop() !== undefined)
        heldBytes -= size;
      if (buffers.length === 0 && size !== byteLength) bySize.delete(size);
    }
    return heldBytes + byteLength <= options.maxBytes;
  }

  return {
    take(byteLength) {
      const data = bySize.get(byteLength)?.pop();
      if (data === undefined) return new Uint8Array(byteLength);
      heldBytes -= byteLength;
      return data;
    },
    give(data) {
      const { byteLength } = data;
      if (byteLength === 0 || byteLength !== data.buffer.byteLength) return;
      if (heldBytes + byteLength > options.maxBytes && !makeRoom(byteLength)) return;
      const buffers = bySize.get(byteLength);
      if (buffers === undefined) bySize.set(byteLength, [data]);
      else buffers.push(data);
      heldBytes += byteLength;
    },
    get heldBytes() {
      return heldBytes;
    },
  };
}
