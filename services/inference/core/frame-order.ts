export interface ArrivedFrame {
  readonly cameraId: string;
  readonly epoch: number;
  readonly frameSeq: number;
}

/**
 * `next`: it comes after all seen before. `repeat`: it was seen; ingest sends a frame again when it does not know whether the broker took it.
 * `stale`: of an epoch that another one has followed; its ingest had lost the camera and did not know.
 */
export type OrderVerdict = 'next' | 'repeat' | 'stale';

interface Seen {
  readonly offset: bigint;
  readonly epoch: number;
  readonly frameSeq: number;
}

/** What may still be read again after a lost assignment: far more than a partition has under way. */
const remembered = 512;

/**
 * Holds the frames of each camera to their order: epochs grow, and so do numbers within an epoch. A verdict depends on the records before
 * it in the partition only, so whoever reads the partition again comes to the same.
 */
export class FrameOrder {
  readonly #partitions = new Map<number, Map<string, Seen[]>>();

  judge(frame: ArrivedFrame, position: { readonly partition: number; readonly offset: bigint }): OrderVerdict {
    const cameras = this.#camerasOf(position.partition);
    let seen = cameras.get(frame.cameraId);
    if (seen === undefined) cameras.set(frame.cameraId, (seen = []));
    // Read again, since its results were not committed: what was seen from there on has not happened.
    while ((seen.at(-1)?.offset ?? -1n) >= position.offset) seen.pop();
    const last = seen.at(-1);
    if (last !== undefined && frame.epoch < last.epoch) return 'stale';
    if (last?.epoch === frame.epoch && frame.frameSeq <= last.frameSeq) return 'repeat';
    seen.push({ offset: position.offset, epoch: frame.epoch, frameSeq: frame.frameSeq });
    if (seen.length > remembered) seen.splice(0, remembered / 2);
    return 'next';
  }

  /** Forgets the partition, which was or may have been another owner's, but for what its owners have committed. */
  restart(partition: number, committed: Iterable<ArrivedFrame>): void {
    const cameras = new Map<string, Seen[]>();
    for (const { cameraId, epoch, frameSeq } of committed) {
      const last = cameras.get(cameraId)?.at(-1);
      if (last !== undefined && (last.epoch > epoch || (last.epoch === epoch && last.frameSeq >= frameSeq))) continue;
      cameras.set(cameraId, [{ offset: -1n, epoch, frameSeq }]);
    }
    this.#partitions.set(partition, cameras);
  }

  #camerasOf(partition: number): Map<string, Seen[]> {
    let cameras = this.#partitions.get(partition);
    if (cameras === undefined) this.#partitions.set(partition, (cameras = new Map<string, Seen[]>()));
    return cameras;
  }
}
