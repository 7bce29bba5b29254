import type { CameraStatus, DetectionFrame, SchemaName } from '#schemas';
import type { ContainerCompression } from '#shared/codec/object-container-format';
import { createContainerEncoder, type RecordBlock } from '#shared/codec/object-container-writer';
import type { RecordTypes } from '#shared/codec/record-codec';
import { recordTypes } from '#shared/codec/record-codec';
import { toJsonLine } from '../core/json-line.ts';

/** Collects records into blocks that are appended in one write. */
export interface BlockEncoder<T> {
  /** What every file begins with; may be empty. */
  header(): Buffer;
  add(record: T): void;
  readonly pendingBytes: number;
  readonly pendingRecords: number;
  takeBlock(): RecordBlock;
}

export function createAvroEncoder<Name extends SchemaName>(
  name: Name,
  options: { readonly compression: ContainerCompression; readonly blockBytes: number },
): BlockEncoder<RecordTypes[Name]> {
  return createContainerEncoder(name, options);
}

export type AnyRecord =
  | { readonly type: 'detection_frame'; readonly record: DetectionFrame }
  | { readonly type: 'camera_status'; readonly record: CameraStatus };

/** Both records as JSON lines, held to the same schemas as Avro. */
export function createJsonLinesEncoder(): BlockEncoder<AnyRecord> {
  let lines: string[] = [];
  let characters = 0;
  return {
    header: () => Buffer.alloc(0),
    add(item) {
      const line = item.type === 'detection_frame' ? detectionLine(item.record) : statusLine(item.record);
      lines.push(line, '\n');
      characters += line.length + 1;
    },
    get pendingBytes() {
      return characters;
    },
    get pendingRecords() {
      return lines.length / 2;
    },
    takeBlock() {
      const block = { bytes: Buffer.from(lines.join('')), records: lines.length / 2 };
      lines = [];
      characters = 0;
      return block;
    },
  };
}

function detectionLine(record: DetectionFrame): string {
  // Only for its complaint: JSON would write NaN as null and take a missing field without a word.
  recordTypes['detection-frame'].encode(record);
  return toJsonLine('detection_frame', record);
}

function statusLine(record: CameraStatus): string {
  recordTypes['camera-status'].encode(record);
  return toJsonLine('camera_status', record);
}
