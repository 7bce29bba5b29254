import { maxCachedBytes, type ByteCache } from '#shared/core/byte-cache';

export interface MemoryByteCacheOptions {
  /** All values together; what was written longest ago goes first. */
  readonly maxBytes: number;
  /** Monotonic. */
  readonly nowMs?: () => number;
}

/** A cache of one process: for tests, and where there is no Redis. */
export function createMemoryByteCache(options: MemoryByteCacheOptions): ByteCache {
  const { maxBytes, nowMs = () => performance.now() } = options;
  // In the order of writing.
  const entries = new Map<string, { readonly value: Uint8Array; readonly untilMs: number }>();
  let bytes = 0;

  function drop(key: string): void {
    bytes -= entries.get(key)?.value.byteLength ?? 0;
    entries.delete(key);
  }

  return {
    trouble: undefined,
    get(key) {
      const entry = entries.get(key);
      if (entry === undefined) return Promise.resolve('miss');
      if (entry.untilMs > nowMs()) return Promise.resolve(entry.value.slice());
      drop(key);
      return Promise.resolve('miss');
    },
    put(key, value, ttlMs) {
      if (value.byteLength > Math.min(maxCachedBytes, maxBytes)) return Promise.resolve('refused');
      drop(key);
      entries.set(key, { value: value.slice(), untilMs: nowMs() + ttlMs });
      bytes += value.byteLength;
      for (const oldest of entries.keys()) {
        if (bytes <= maxBytes) break;
        drop(oldest);
      }
      return Promise.resolve('kept');
    },
    close() {
      entries.clear();
      bytes = 0;
      return Promise.resolve();
    },
  };
}
