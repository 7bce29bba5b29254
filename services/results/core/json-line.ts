import type { CameraStatus, DetectionFrame } from '../../../schemas/index.ts';

/** What a JSON line begins with, so that one stream can carry both records. */
export type JsonLineType = 'detection_frame' | 'camera_status';

/** One line of JSON without the line feed: `type`, then the record with the names and the numbers that Avro has. */
export function toJsonLine(type: 'detection_frame', record: DetectionFrame): string;
export function toJsonLine(type: 'camera_status', record: CameraStatus): string;
export function toJsonLine(type: JsonLineType, record: object): string {
  return JSON.stringify({ type, ...record }, shortenFloat);
}

// Every number of our schemas that is not whole is a 32-bit float; a test holds the schemas to that.
function shortenFloat(_key: string, value: unknown): unknown {
  return typeof value === 'number' && !Number.isInteger(value) ? shortestFloat(value) : value;
}

/**
 * The shortest number that is the same 32-bit float: 0.1 and not 0.10000000149011612, so that a line read back gives exactly what
 * Avro holds without its length.
 */
export function shortestFloat(value: number): number {
  const float = Math.fround(value);
  if (!Number.isFinite(float)) return value;
  // Any float of up to 7 digits is found at once, as zeros at the end do not print; 9 digits always do.
  for (let digits = 7; digits < 9; digits += 1) {
    const short = Number(float.toPrecision(digits));
    if (Math.fround(short) === float) return short;
  }
  return float;
}
