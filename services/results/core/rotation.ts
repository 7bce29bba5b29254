export interface RotationPolicy {
  readonly maxFileBytes: number;
  readonly maxFileAgeMs: number;
}

/** A file that a copy or an upload handles in seconds, and an hour as the unit that people look for results by. */
export const defaultRotation: RotationPolicy = { maxFileBytes: 256 * 1024 * 1024, maxFileAgeMs: 60 * 60 * 1000 };

export interface OpenFile {
  readonly sizeBytes: number;
  readonly ageMs: number;
  /** Records in the file; an empty one is never rotated, or a block larger than the limit would make empty files for ever. */
  readonly records: number;
}

/** Whether the next block goes to a new file. */
export function isRotationDue(file: OpenFile, nextBlockBytes: number, policy: RotationPolicy): boolean {
  if (file.records === 0) return false;
  return file.sizeBytes + nextBlockBytes > policy.maxFileBytes || file.ageMs >= policy.maxFileAgeMs;
}
