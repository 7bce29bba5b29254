import { randomBytes } from 'node:crypto';
import { promisify } from 'node:util';
import { deflateRaw } from 'node:zlib';
import { schemas, type SchemaName } from '#schemas';
import {
  longType,
  magic,
  maxLongBytes,
  metadataType,
  syncMarkerBytes,
  type ContainerCompression,
} from './object-container-format.ts';
import { recordTypes, type RecordTypes } from './record-codec.ts';

const deflate = promisify(deflateRaw);

/** Bytes to be appended in one write, and how many records they hold. */
export interface RecordBlock {
  readonly bytes: Promise<Buffer> | Buffer;
  readonly records: number;
}

/**
 * Makes the bytes of an Avro object container file; who writes them is not its business. The Avro library's own encoder gives a block
 * to its stream in four pieces and only when it is full, so a killed process could leave up to a whole block unwritten for as long as
 * the camera is quiet; here the owner says when a block ends, and each block is one piece.
 */
export interface ContainerEncoder<T> {
  /** What every file begins with. */
  header(): Buffer;
  /** Adds a record to the block that is being filled. Throws SIGHTLINE_RESULTS_RECORD_INVALID and then leaves the block as it was. */
  add(record: T): void;
  readonly pendingBytes: number;
  readonly pendingRecords: number;
  /** Ends the block that is being filled and begins a new one. Call only with records pending. */
  takeBlock(): RecordBlock;
}

export function createContainerEncoder<Name extends SchemaName>(
  name: Name,
  options: { readonly compression: ContainerCompression; readonly blockBytes: number },
): ContainerEncoder<RecordTypes[Name]> {
  const type = recordTypes[name];
  const { schema, version } = schemas[name];
  // One marker for all files of this writer: it only has to differ from what stands inside blocks.
  const syncMarker = randomBytes(syncMarkerBytes);
  // Room for the two numbers before the records and the marker after them, so that a block is one buffer without copying.
  const dataStart = 2 * maxLongBytes;
  const newBuffer = (dataBytes: number): Buffer => Buffer.allocUnsafe(dataStart + dataBytes + syncMarkerBytes);
  let buffer = newBuffer(options.blockBytes);
  let end = dataStart;
  let records = 0;

  const frame = (source: Buffer, dataEnd: number, count: number): Buffer => {
    const sizes = Buffer.concat([longType.encode(count), longType.encode(dataEnd - dataStart)]);
    const start = dataStart - sizes.length;
    sizes.copy(source, start);
    syncMarker.copy(source, dataEnd);
    return source.subarray(start, dataEnd + syncMarkerBytes);
  };

  return {
    header() {
      const metadata = metadataType.encode({
        'avro.schema': Buffer.from(JSON.stringify(schema)),
        'avro.codec': Buffer.from(options.compression),
        'sightline.schema_version': Buffer.from(String(version)),
      });
      return Buffer.concat([magic, metadata, syncMarker]);
    },
    add(record) {
      const room = buffer.subarray(0, buffer.length - syncMarkerBytes);
      let recordEnd = type.encodeInto(record as never, room, end);
      if (recordEnd < 0) {
        const larger = newBuffer(end - dataStart - recordEnd + options.blockBytes);
        buffer.copy(larger, 0, 0, end);
        buffer = larger;
        recordEnd = type.encodeInto(record as never, buffer, end);
      }
      end = recordEnd;
      records += 1;
    },
    get pendingBytes() {
      return end - dataStart;
    },
    get pendingRecords() {
      return records;
    },
    takeBlock() {
      const [full, fullEnd, count] = [buffer, end, records];
      buffer = newBuffer(options.blockBytes);
      end = dataStart;
      records = 0;
      if (options.compression === 'null') return { bytes: frame(full, fullEnd, count), records: count };
      const compress = async (): Promise<Buffer> => {
        const data = await deflate(full.subarray(dataStart, fullEnd));
        const compressed = newBuffer(data.length);
        data.copy(compressed, dataStart);
        return frame(compressed, dataStart + data.length, count);
      };
      return { bytes: compress(), records: count };
    },
  };
}
