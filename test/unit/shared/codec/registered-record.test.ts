import { describe, expect, test } from 'vitest';
import { schemas, type AvroRecordSchema } from '#schemas';
import { cloudEventHeaders } from '#shared/codec/cloud-event-headers';
import { createRegisteredRecordCodec } from '#shared/codec/registered-record';
import type { SchemaRegistry } from '#shared/codec/schema-registry';
import { AppError } from '#shared/core/errors';
import { makeCameraStatus, makeDetectionFrame } from '../../../support/result-records.ts';

/** A registry in memory that counts what it is asked for. */
function memoryRegistry(byId: Readonly<Record<number, unknown>> = {}): SchemaRegistry & { asked: number } {
  const registry = {
    url: 'memory',
    asked: 0,
    register: () => Promise.resolve(258),
    schemaById: (id: number) => {
      registry.asked += 1;
      const schema = byId[id];
      if (schema === undefined) return Promise.reject(new AppError('SIGHTLINE_REGISTRY_SCHEMA_UNKNOWN', `no ${id}`));
      return Promise.resolve(schema);
    },
  };
  return registry;
}

const frame = makeDetectionFrame();
const plain = (value: unknown): unknown => JSON.parse(JSON.stringify(value)) as unknown;

async function statusCodec(registry: SchemaRegistry) {
  const codec = createRegisteredRecordCodec('camera-status', { registry, subject: 's-value' });
  await codec.register();
  return codec;
}

function withId(bytes: Buffer, id: number): Buffer {
  const copy = Buffer.from(bytes);
  copy.writeInt32BE(id, 1);
  return copy;
}

describe('a registered record', () => {
  test('of detections keeps its bytes for ever', async () => {
    const codec = createRegisteredRecordCodec('detection-frame', { registry: memoryRegistry(), subject: 's-value' });
    await codec.register();
    expect(codec.encode(frame).toString('hex')).toMatchInlineSnapshot(
      `"00000001024862363461343631312d356330622d353435382d383331362d346261353562386333323837086761746502028095ebdde9bab00606020000204290e3ebdde9bab006a0a2f1dde9bab0060280b51812696e666572656e63650461310a302e312e300208736974650a6e6f72746800801ef010020014796f6c6f785f6e616e6f0a312e302e308001616261626162616261626162616261626162616261626162616261626162616261626162616261626162616261626162616261626162616261626162616261621e6f6e6e7872756e74696d652d63707502c006c0060202000c706572736f6e0000603f0000003e0000803e0000803d0000003f00000000020000803e020000803e0000803e0000003f0000003f0002020000000000000000a0400000a0400202000000400000003f0000c0410000403f00004842"`,
    );
  });

  test('of a camera status keeps its bytes for ever', async () => {
    const codec = await statusCodec(memoryRegistry());
    expect(codec.encode(makeCameraStatus()).toString('hex')).toMatchInlineSnapshot(
      `"00000001024863326435613164652d376134632d356133652d396138362d3062366633613764396331310867617465020280e0d2dde9bab006040280e0d2dde9bab006020002086832363402801e02f010020000c841020000c441060000000280e0d2dde9bab0060200204b440c696e676573740461310a302e312e300208736974650a6e6f72746800"`,
    );
  });

  test('comes back as it went in, without a question to the registry', async () => {
    const registry = memoryRegistry();
    const codec = createRegisteredRecordCodec('detection-frame', { registry, subject: 's-value' });
    await codec.register();
    expect(plain(codec.decode(codec.encode(frame)))).toEqual(frame);
    expect(registry.asked).toBe(0);
  });

  test('larger than any before is written whole', async () => {
    const codec = await statusCodec(memoryRegistry());
    const large = makeCameraStatus({ reason_text: 'x'.repeat(100_000) });
    expect(plain(codec.decode(codec.encode(large)))).toEqual(plain(large));
    expect(plain(codec.decode(codec.encode(makeCameraStatus())))).toEqual(plain(makeCameraStatus()));
  });

  test('of another version of the schema is read as ours, and the registry asked once', async () => {
    const { schema } = schemas['camera-status'];
    const newer: AvroRecordSchema = {
      ...schema,
      fields: [...schema.fields, { name: 'added_later', type: 'int', default: 0 }],
    };
    const registry = memoryRegistry({ 9: newer });
    const codec = await statusCodec(registry);
    const bytes = withId(Buffer.concat([codec.encode(makeCameraStatus()), Buffer.from([8])]), 9);
    expect(plain(await Promise.all([codec.decode(bytes), codec.decode(bytes)]))).toEqual(
      plain([makeCameraStatus(), makeCameraStatus()]),
    );
    expect(codec.decode(bytes)).not.toBeInstanceOf(Promise);
    expect(registry.asked).toBe(1);
  });

  test('of a foreign schema is refused', async () => {
    const foreign = { type: 'record', name: 'Other', fields: [{ name: 'a', type: 'int' }] };
    const codec = await statusCodec(memoryRegistry({ 9: foreign, 10: 'no-such-type' }));
    for (const id of [9, 10]) {
      await expect(codec.decode(withId(codec.encode(makeCameraStatus()), id))).rejects.toMatchObject({
        code: 'SIGHTLINE_RECORD_UNDECODABLE',
      });
    }
  });

  test('of an unknown schema is told as the registry tells it', async () => {
    const codec = await statusCodec(memoryRegistry());
    await expect(codec.decode(withId(codec.encode(makeCameraStatus()), 9))).rejects.toMatchObject({
      code: 'SIGHTLINE_REGISTRY_SCHEMA_UNKNOWN',
    });
  });

  test('is not what other bytes are taken for', async () => {
    const codec = await statusCodec(memoryRegistry());
    const good = codec.encode(makeCameraStatus());
    const bad = [
      null,
      Buffer.alloc(0),
      Buffer.from('{"json": true}'),
      good.subarray(0, 4),
      good.subarray(0, good.length - 1),
      Buffer.concat([good, Buffer.from([0])]),
      Buffer.concat([good, Buffer.alloc(1_000_000)]),
    ];
    for (const bytes of bad) {
      expect(() => codec.decode(bytes)).toThrow(expect.objectContaining({ code: 'SIGHTLINE_RECORD_UNDECODABLE' }));
    }
  });
});

test('headers make a record a CloudEvent', () => {
  expect(cloudEventHeaders('detection-frame', frame, 'http://r/schemas/ids/1')).toEqual({
    ce_specversion: '1.0',
    ce_id: frame.header.message_id,
    ce_source: '/sightline/cameras/gate',
    ce_type: 'sightline.DetectionFrame',
    ce_subject: 'gate',
    ce_time: '2026-11-23T06:00:00.200Z',
    ce_dataschema: 'http://r/schemas/ids/1',
    'content-type': 'application/avro',
  });
  expect(cloudEventHeaders('camera-status', makeCameraStatus({ camera_id: 'a b' }), '')).toMatchObject({
    ce_source: '/sightline/cameras/a%20b',
    ce_type: 'sightline.CameraStatus',
  });
});
