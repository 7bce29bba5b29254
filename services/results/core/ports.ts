import type { CameraStatus, DetectionFrame } from '../../../schemas/index.ts';

/** Exact counts of what a writer did. */
export interface ResultsCounts {
  readonly recordsWritten: number;
  /** Records that were offered and are not in the results: they were waiting when writing failed, or were offered after. */
  readonly recordsLost: number;
  readonly bytesWritten: number;
}

/**
 * Where records end. A write resolves when the record is accepted, which waits while the disk is slower than the cameras; it is on its
 * way to the operating system at most half a second later. After the first failure every write and close() reject with the same error.
 */
export interface ResultsWriter {
  /** Makes the files, so that a place that cannot be written to is known before the first frame. Optional: the first write does the same. */
  open(): Promise<void>;
  writeDetections(record: DetectionFrame): Promise<void>;
  writeStatus(record: CameraStatus): Promise<void>;
  counts(): ResultsCounts;
  /** Resolves when all that was accepted has arrived; absent where that is a matter of moments and close() does it. */
  drain?(): Promise<void>;
  /** Writes what is waiting and closes the files. May be called twice; gives the same promise. */
  close(): Promise<void>;
}

/** A place that bytes are appended to, whole or not at all. */
export interface AppendTarget {
  append(bytes: Buffer): Promise<void>;
  close(): Promise<void>;
}
