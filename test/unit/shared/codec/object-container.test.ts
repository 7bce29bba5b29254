import { describe, expect, test } from 'vitest';
import { schemas } from '#schemas';
import { createAvroType } from '#shared/codec/avro-type';
import { longType, magic, metadataType, type ContainerCompression } from '#shared/codec/object-container-format';
import { readObjectContainer, type FileEnding } from '#shared/codec/object-container-reader';
import { createContainerEncoder } from '#shared/codec/object-container-writer';
import { makeDetectionFrame, makeObject } from '../../../support/result-records.ts';

interface MadeFile {
  readonly bytes: Buffer;
  /** Where the header and each block end. */
  readonly ends: readonly number[];
}

async function makeFile(options: {
  compression?: ContainerCompression;
  blocks: readonly number[];
  blockBytes?: number;
}): Promise<MadeFile> {
  const encoder = createContainerEncoder('detection-frame', {
    compression: options.compression ?? 'null',
    blockBytes: options.blockBytes ?? 4096,
  });
  const parts = [encoder.header()];
  let seq = 0;
  for (const count of options.blocks) {
    for (let index = 0; index < count; index += 1) {
      seq += 1;
      encoder.add(makeDetectionFrame({ header: { frame_seq: seq } }));
    }
    parts.push(await encoder.takeBlock().bytes);
  }
  const ends = parts.map((_part, index) => parts.slice(0, index + 1).reduce((sum, { length }) => sum + length, 0));
  return { bytes: Buffer.concat(parts), ends };
}

async function* inChunks(bytes: Buffer, chunkBytes: number): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; at += chunkBytes) yield bytes.subarray(at, at + chunkBytes);
}

async function read(bytes: Buffer, chunkBytes = 1000): Promise<{ seqs: number[]; ending: FileEnding | undefined }> {
  const seqs: number[] = [];
  let ending: FileEnding | undefined;
  for await (const part of readObjectContainer(inChunks(bytes, chunkBytes))) {
    if (part.kind === 'end') ending = part.ending;
    else if (part.schema === 'detection-frame') seqs.push(...part.records.map(({ header }) => header.frame_seq));
  }
  return { seqs, ending };
}

describe.each(['null', 'deflate'] as const)('an object container file with codec %s', (compression) => {
  test.each([1, 7, 1000, 1_000_000])('is read back whole in pieces of %i bytes', async (chunkBytes) => {
    const { bytes } = await makeFile({ compression, blocks: [3, 1, 2] });
    expect(await read(bytes, chunkBytes)).toEqual({ seqs: [1, 2, 3, 4, 5, 6], ending: { kind: 'complete' } });
  });

  test('cut anywhere, gives every finished block and says where the torn one begins', async () => {
    const { bytes, ends } = await makeFile({ compression, blocks: [2, 1] });
    const [headerEnd = 0, firstEnd = 0, secondEnd = 0] = ends;
    for (let length = 0; length <= bytes.length; length += 1) {
      const { seqs, ending } = await read(bytes.subarray(0, length), 1_000_000);
      if (length < headerEnd) expect({ seqs, ending }).toMatchObject({ seqs: [], ending: { kind: 'torn', atByte: 0 } });
      else if (length === headerEnd) expect({ seqs, ending }).toEqual({ seqs: [], ending: { kind: 'complete' } });
      else if (length < firstEnd)
        expect({ seqs, ending }).toMatchObject({ seqs: [], ending: { kind: 'torn', atByte: headerEnd } });
      else if (length === firstEnd) expect({ seqs, ending }).toEqual({ seqs: [1, 2], ending: { kind: 'complete' } });
      else if (length < secondEnd)
        expect({ seqs, ending }).toMatchObject({ seqs: [1, 2], ending: { kind: 'torn', atByte: firstEnd } });
      else expect({ seqs, ending }).toEqual({ seqs: [1, 2, 3], ending: { kind: 'complete' } });
    }
  });
});

describe('an object container file', () => {
  test('takes a record that is larger than its block', async () => {
    const encoder = createContainerEncoder('detection-frame', { compression: 'null', blockBytes: 64 });
    const large = makeDetectionFrame({ record: { objects: Array.from({ length: 500 }, () => makeObject()) } });
    encoder.add(makeDetectionFrame({ header: { frame_seq: 1 } }));
    encoder.add({ ...large, header: { ...large.header, frame_seq: 2 } });
    encoder.add(makeDetectionFrame({ header: { frame_seq: 3 } }));
    const bytes = Buffer.concat([encoder.header(), await encoder.takeBlock().bytes]);
    expect(await read(bytes)).toEqual({ seqs: [1, 2, 3], ending: { kind: 'complete' } });
  });

  test('keeps its block when a record is refused', async () => {
    const encoder = createContainerEncoder('detection-frame', { compression: 'null', blockBytes: 4096 });
    encoder.add(makeDetectionFrame({ header: { frame_seq: 1 } }));
    expect(() => encoder.add(makeDetectionFrame({ header: { publish_time: NaN } }))).toThrow('publish_time');
    encoder.add(makeDetectionFrame({ header: { frame_seq: 2 } }));
    const bytes = Buffer.concat([encoder.header(), await encoder.takeBlock().bytes]);
    expect(await read(bytes)).toEqual({ seqs: [1, 2], ending: { kind: 'complete' } });
  });

  test('with zeros at its end, as a power cut leaves them, is torn and not corrupt', async () => {
    const { bytes, ends } = await makeFile({ blocks: [2] });
    const read2 = await read(Buffer.concat([bytes, Buffer.alloc(5000)]));
    expect(read2).toMatchObject({ seqs: [1, 2], ending: { kind: 'torn', atByte: ends.at(-1) } });
  });

  test('with a damaged sync marker is corrupt from that block on', async () => {
    const { bytes, ends } = await makeFile({ blocks: [1, 1, 1] });
    const at = (ends[2] ?? 0) - 1;
    bytes.writeUInt8(bytes.readUInt8(at) ^ 1, at);
    expect(await read(bytes)).toMatchObject({ seqs: [1], ending: { kind: 'corrupt', atByte: ends[1] } });
  });

  test('with an absurd size of a block is corrupt and costs no memory', async () => {
    const { bytes, ends } = await makeFile({ blocks: [1] });
    const absurd = Buffer.concat([bytes, longType.encode(1), longType.encode(2 ** 40), Buffer.alloc(100, 7)]);
    expect(await read(absurd)).toMatchObject({ seqs: [1], ending: { kind: 'corrupt', atByte: ends.at(-1) } });
  });

  test('with another count of records than it holds is corrupt', async () => {
    const { bytes, ends } = await makeFile({ blocks: [2] });
    const header = bytes.subarray(0, ends[0]);
    const block = Buffer.from(bytes.subarray(ends[0]));
    expect(block.readUInt8(0)).toBe(4); // 2 as an Avro long
    for (const claimed of [2, 6]) {
      block.writeUInt8(claimed, 0);
      expect(await read(Buffer.concat([header, block]))).toMatchObject({ seqs: [], ending: { kind: 'corrupt' } });
    }
  });

  test('written by a later version with one more field and symbol is read', async () => {
    const { schema } = schemas['detection-frame'];
    const later = { ...schema, fields: [...schema.fields, { name: 'weather', type: 'string', default: '' }] };
    const record = createAvroType<object>(later).encode({ ...makeDetectionFrame(), weather: 'rain' });
    const sync = Buffer.alloc(16, 9);
    const metadata = metadataType.encode({ 'avro.schema': Buffer.from(JSON.stringify(later)) });
    const file = Buffer.concat([
      magic,
      metadata,
      sync,
      longType.encode(1),
      longType.encode(record.length),
      record,
      sync,
    ]);
    expect(await read(file)).toEqual({ seqs: [1], ending: { kind: 'complete' } });
  });

  test.each([
    ['another format', Buffer.from('PAR1 is not Avro')],
    [
      'records of somebody else',
      Buffer.concat([
        magic,
        metadataType.encode({ 'avro.schema': Buffer.from('{"type":"record","name":"Other","fields":[]}') }),
        Buffer.alloc(16),
      ]),
    ],
    [
      'an unknown codec',
      Buffer.concat([magic, metadataType.encode({ 'avro.codec': Buffer.from('zstandard') }), Buffer.alloc(16)]),
    ],
    [
      'a schema that is not JSON',
      Buffer.concat([magic, metadataType.encode({ 'avro.schema': Buffer.from('{') }), Buffer.alloc(16)]),
    ],
  ])('that is %s is refused', async (_what, bytes) => {
    await expect(read(bytes)).rejects.toMatchObject({ code: 'SIGHTLINE_RESULTS_UNREADABLE' });
  });
});
