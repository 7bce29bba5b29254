import { promisify } from 'node:util';
import { inflateRaw } from 'node:zlib';
import { schemas, type ResultName } from '#schemas';
import { AppError } from '#shared/core/errors';
import type { AvroType } from './avro-type.ts';
import {
  longType,
  magic,
  metadataType,
  syncMarkerBytes,
  type ContainerCompression,
} from './object-container-format.ts';
import { recordTypes, type RecordTypes } from './record-codec.ts';

const inflate = promisify(inflateRaw);
/** What files hold. */
const resultNames: readonly ResultName[] = ['detection-frame', 'camera-status'];

// Far above what we write; a file that says more is damaged or hostile and must not cost us memory.
const maxBlockBytes = 64 * 1024 * 1024;
const maxHeaderBytes = 1024 * 1024;

/** How a file ended. `torn`: in the middle of a block, as a killed writer or a running one leaves it. `corrupt`: with bytes that no writer leaves. */
export type FileEnding =
  | { readonly kind: 'complete' }
  | { readonly kind: 'torn' | 'corrupt'; readonly atByte: number; readonly reason: string };

export type RecordBatch = {
  readonly [Name in ResultName]: { readonly schema: Name; readonly records: readonly RecordTypes[Name][] };
}[ResultName];

export type RecordFilePart =
  ({ readonly kind: 'records' } & RecordBatch) | { readonly kind: 'end'; readonly ending: FileEnding };

/**
 * Reads an object container file block by block; the last part says how the file ended. Throws SIGHTLINE_RESULTS_UNREADABLE where it
 * is not an Avro file of ours at all.
 */
export async function* readObjectContainer(chunks: AsyncIterable<Buffer>): AsyncGenerator<RecordFilePart, void> {
  const input = new ByteInput(chunks);
  const header = await readHeader(input);
  if (header === undefined) {
    yield { kind: 'end', ending: { kind: 'torn', atByte: 0, reason: 'the header is not whole' } };
    return;
  }
  for (;;) {
    const atByte = input.position;
    const block = await readBlock(input, header);
    if (block.kind !== 'block') {
      yield { kind: 'end', ending: block.kind === 'complete' ? block : { ...block, atByte } };
      return;
    }
    yield { kind: 'records', ...block.batch };
  }
}

interface Header {
  readonly schema: ResultName;
  readonly compression: ContainerCompression;
  readonly syncMarker: Buffer;
  readonly type: Pick<AvroType<unknown>, 'decode'>;
}

async function readHeader(input: ByteInput): Promise<Header | undefined> {
  await input.fill(magic.length);
  const start = input.bytes();
  if (!magic.subarray(0, start.length).equals(start.subarray(0, magic.length)))
    throw unreadable('it is not an Avro file');
  for (let wanted = 64 * 1024; ; wanted *= 2) {
    const isAll = !(await input.fill(wanted));
    const metadata = input.length < magic.length ? undefined : metadataType.decode(input.bytes(), magic.length);
    if (metadata !== undefined && input.length >= metadata.end + syncMarkerBytes) {
      const syncMarker = Buffer.from(input.bytes().subarray(metadata.end, metadata.end + syncMarkerBytes));
      input.skip(metadata.end + syncMarkerBytes);
      return { syncMarker, ...parseMetadata(metadata.value) };
    }
    if (isAll) return undefined;
    if (input.length > maxHeaderBytes) throw unreadable('its header is too large');
  }
}

function parseMetadata(metadata: Readonly<Record<string, Buffer>>): Omit<Header, 'syncMarker'> {
  const compression = metadata['avro.codec']?.toString() ?? 'null';
  if (compression !== 'null' && compression !== 'deflate')
    throw unreadable(`its codec is "${compression.slice(0, 20)}"; null and deflate are read`);
  const schemaText = metadata['avro.schema']?.toString() ?? '';
  let writerSchema: unknown;
  try {
    writerSchema = JSON.parse(schemaText);
  } catch (error) {
    throw unreadable('its schema is not JSON', error);
  }
  const entry = resultNames
    .map((name) => ({ ...schemas[name], name }))
    .find(({ fullName }) => fullName === fullNameOf(writerSchema));
  if (entry === undefined) throw unreadable('its records are not those of Sightline');
  const current: AvroType<unknown> = recordTypes[entry.name];
  const type = schemaText === JSON.stringify(entry.schema) ? current : current.reading(writerSchema);
  return { schema: entry.name, compression, type };
}

function fullNameOf(schema: unknown): string | undefined {
  if (typeof schema !== 'object' || schema === null || !('name' in schema) || typeof schema.name !== 'string')
    return undefined;
  return 'namespace' in schema && typeof schema.namespace === 'string'
    ? `${schema.namespace}.${schema.name}`
    : schema.name;
}

type Block =
  | { readonly kind: 'block'; readonly batch: RecordBatch }
  | { readonly kind: 'complete' }
  | { readonly kind: 'torn' | 'corrupt'; readonly reason: string };

const torn = { kind: 'torn', reason: 'the last block is not whole' } as const;
const corrupt = (reason: string): Block => ({ kind: 'corrupt', reason });

async function readBlock(input: ByteInput, header: Header): Promise<Block> {
  await input.fill(24);
  if (input.length === 0) return { kind: 'complete' };
  let count: ReturnType<typeof longType.decode>;
  let size: ReturnType<typeof longType.decode>;
  try {
    count = longType.decode(input.bytes(), 0);
    size = count === undefined ? undefined : longType.decode(input.bytes(), count.end);
  } catch {
    return corrupt('the size of a block is not a number');
  }
  if (count === undefined || size === undefined) return torn;
  // After a power cut some file systems leave zeros where data was promised.
  if (count.value === 0 && size.value === 0)
    return (await input.restIsZero()) ? { ...torn, reason: 'zeros after the last block' } : corrupt('an empty block');
  if (size.value < 0 || size.value > maxBlockBytes || count.value <= 0 || count.value > maxBlockBytes)
    return corrupt('the size of a block is absurd');
  const blockBytes = size.end + size.value + syncMarkerBytes;
  if (!(await input.fill(blockBytes))) return torn;
  const bytes = input.bytes();
  if (!bytes.subarray(blockBytes - syncMarkerBytes, blockBytes).equals(header.syncMarker))
    return corrupt('a block does not end with the sync marker');
  const stored = bytes.subarray(size.end, size.end + size.value);
  try {
    const data = header.compression === 'null' ? stored : await inflate(stored, { maxOutputLength: maxBlockBytes });
    const records = decodeRecords(header.type, data, count.value);
    if (records === undefined) return corrupt('a block does not hold the records that it says');
    input.skip(blockBytes);
    // The schema's name was read from the header and the records by that schema.
    return { kind: 'block', batch: { schema: header.schema, records } as RecordBatch };
  } catch {
    return corrupt('a block cannot be decoded');
  }
}

function decodeRecords(type: Header['type'], data: Buffer, count: number): unknown[] | undefined {
  // Each of our records takes bytes, so a count above the bytes is a lie that would cost memory.
  if (count > data.length) return undefined;
  const records: unknown[] = [];
  let offset = 0;
  for (let index = 0; index < count; index += 1) {
    const decoded = type.decode(data, offset);
    if (decoded === undefined) return undefined;
    records.push(decoded.value);
    offset = decoded.end;
  }
  return offset === data.length ? records : undefined;
}

function unreadable(reason: string, cause?: unknown): AppError {
  return new AppError('SIGHTLINE_RESULTS_UNREADABLE', reason, { cause });
}

/** The bytes of a stream that are read but not yet used. */
class ByteInput {
  position = 0;
  readonly #chunks: AsyncIterator<Buffer>;
  #parts: Buffer[] = [];
  #length = 0;

  constructor(chunks: AsyncIterable<Buffer>) {
    this.#chunks = chunks[Symbol.asyncIterator]();
  }

  get length(): number {
    return this.#length;
  }

  /** Reads on until `wanted` bytes are there; false where the stream ends before. */
  async fill(wanted: number): Promise<boolean> {
    while (this.#length < wanted) {
      const next = await this.#chunks.next();
      if (next.done === true) return false;
      this.#parts.push(next.value);
      this.#length += next.value.length;
    }
    return true;
  }

  bytes(): Buffer {
    const [first] = this.#parts;
    if (first !== undefined && this.#parts.length === 1) return first;
    const joined = Buffer.concat(this.#parts);
    this.#parts = [joined];
    return joined;
  }

  skip(count: number): void {
    this.#parts = [this.bytes().subarray(count)];
    this.#length -= count;
    this.position += count;
  }

  async restIsZero(): Promise<boolean> {
    for (;;) {
      if (this.bytes().some((byte) => byte !== 0)) return false;
      this.skip(this.#length);
      if (!(await this.fill(1))) return true;
    }
  }
}
