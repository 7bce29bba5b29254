import type { ResultName } from '#schemas';
import type { RecordFilePart } from '#shared/codec/object-container-reader';
import { recordTypes } from '#shared/codec/record-codec';
import { AppError } from '#shared/core/errors';

// A record with a thousand objects is 200 kB; what is far above is not ours and must not fill the memory.
const maxLineBytes = 16 * 1024 * 1024;
const lineFeed = 0x0a;

type AnyBatch = Extract<RecordFilePart, { kind: 'records' }>;
type ParsedLine = { readonly schema: ResultName; readonly record: unknown } | { readonly problem: string };

/**
 * Reads JSON lines of records, in the order and with the parts of readObjectContainer. Each line becomes what Avro would have kept of
 * it: defaults for fields that an older version did not have, floats of 32 bits.
 */
export async function* readJsonLines(chunks: AsyncIterable<Buffer>): AsyncGenerator<RecordFilePart, void> {
  let rest: Buffer = Buffer.alloc(0);
  let atByte = 0;
  for await (const chunk of chunks) {
    rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    const batch = new BatchMaker();
    let start = 0;
    for (let end = rest.indexOf(lineFeed); end >= 0; end = rest.indexOf(lineFeed, start)) {
      const line = parseLine(rest.subarray(start, end));
      if (line !== undefined && 'problem' in line) {
        yield* batch.parts();
        yield { kind: 'end', ending: { kind: 'corrupt', atByte: atByte + start, reason: line.problem } };
        return;
      }
      if (line !== undefined) batch.add(line);
      start = end + 1;
    }
    yield* batch.parts();
    rest = rest.subarray(start);
    atByte += start;
    if (rest.length > maxLineBytes) {
      yield { kind: 'end', ending: { kind: 'corrupt', atByte, reason: 'a line is too long' } };
      return;
    }
  }
  // Without its line feed the last line is whole only if it says so itself.
  const last = parseLine(rest);
  if (last !== undefined && 'problem' in last) {
    yield { kind: 'end', ending: { kind: 'torn', atByte, reason: 'the last line is not whole' } };
    return;
  }
  const batch = new BatchMaker();
  if (last !== undefined) batch.add(last);
  yield* batch.parts();
  yield { kind: 'end', ending: { kind: 'complete' } };
}

function parseLine(bytes: Buffer): ParsedLine | undefined {
  const text = bytes.toString('utf8').trim();
  if (text === '') return undefined;
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return { problem: 'a line is not JSON' };
  }
  const type = typeof value === 'object' && value !== null && 'type' in value ? value.type : undefined;
  const schema =
    type === 'detection_frame' ? 'detection-frame' : type === 'camera_status' ? 'camera-status' : undefined;
  if (schema === undefined) return { problem: 'a line is neither a detection_frame nor a camera_status' };
  try {
    const codec = recordTypes[schema];
    // Encoding checks every field, whatever the line held.
    const decoded = codec.decode(codec.encode(value as never), 0);
    return decoded === undefined ? { problem: 'a line cannot be decoded' } : { schema, record: decoded.value };
  } catch (error) {
    return { problem: error instanceof AppError ? error.message : 'a line does not match the schema' };
  }
}

/** Gathers neighbours of one kind, so that order across kinds is kept. */
class BatchMaker {
  readonly #parts: { kind: 'records'; schema: ResultName; records: unknown[] }[] = [];

  add(line: { readonly schema: ResultName; readonly record: unknown }): void {
    const last = this.#parts.at(-1);
    if (last?.schema === line.schema) last.records.push(line.record);
    else this.#parts.push({ kind: 'records', schema: line.schema, records: [line.record] });
  }

  parts(): AnyBatch[] {
    // Each record was decoded by the schema that its part names.
    return this.#parts as AnyBatch[];
  }
}
