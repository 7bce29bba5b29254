import { readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { describe, expect, test } from 'vitest';
import {
  evolutionProblems,
  releasedSchema,
  schemas,
  type CameraClaim,
  type CameraRegistration,
  type CameraStatus,
  type DetectionFrame,
  type DriftState,
  type FrameRecord,
  type IngestPresence,
  type ModelInfo,
  type SchemaName,
} from '#schemas';
import { createAvroType } from '#shared/codec/avro-type';
import { recordTypes } from '#shared/codec/record-codec';

const repositoryRoot = resolve(import.meta.dirname, '../../..');
const names = [
  'detection-frame',
  'camera-status',
  'frame',
  'camera-claim',
  'ingest-presence',
  'camera-registration',
  'model-info',
  'drift-state',
] as const satisfies readonly SchemaName[];

function releasedVersions(name: SchemaName): number[] {
  const files = readdirSync(join(repositoryRoot, 'schemas/released', name));
  return files.map((file) => Number(/^v(\d+)\.avsc$/.exec(file)?.[1])).sort((a, b) => a - b);
}

function golden(name: SchemaName, version: number): { bytes: Buffer; value: unknown } {
  const base = join(repositoryRoot, 'test/fixtures/schemas', name, `v${version}`);
  return {
    bytes: readFileSync(`${base}.bin`),
    value: JSON.parse(readFileSync(`${base}.json`, 'utf8'), reviveBytes) as unknown,
  };
}

/** Bytes as JSON.stringify writes them. */
function reviveBytes(_: string, value: unknown): unknown {
  const isBytes = typeof value === 'object' && value !== null && 'type' in value && value.type === 'Buffer';
  return isBytes && 'data' in value && Array.isArray(value.data) ? Buffer.from(value.data as number[]) : value;
}

function plain(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value)) as unknown;
}

describe.each(names)('%s', (name) => {
  const current = schemas[name];
  const versions = releasedVersions(name).map((version) => releasedSchema(name, version));

  test('has its current version in the ledger of released ones, word for word', () => {
    expect(versions.map(({ version }) => version)).toEqual(
      Array.from({ length: current.version }, (_, index) => index + 1),
    );
    expect(versions.at(-1)?.schema).toEqual(current.schema);
  });

  test('every version reads every other one, both ways', () => {
    for (const writer of versions) {
      for (const reader of versions) {
        expect(evolutionProblems(writer.schema, reader.schema)).toEqual([]);
        expect(() => createAvroType(reader.schema).reading(writer.schema)).not.toThrow();
      }
    }
  });

  test('reads the bytes that each released version wrote', () => {
    for (const { version, schema } of versions) {
      const { bytes, value } = golden(name, version);
      expect(plain(recordTypes[name].reading(schema).decode(bytes, 0)?.value)).toMatchObject(plain(value) as object);
    }
  });

  test('still writes the golden bytes of the current version', () => {
    const { bytes, value } = golden(name, current.version);
    expect(createAvroType(current.schema).encode(value).equals(bytes)).toBe(true);
  });

  test('describes every field and every type', () => {
    const undescribed: string[] = [];
    visit(current.schema, '', (node, path) => {
      if (node.name !== undefined && typeof node.doc !== 'string') undescribed.push(path);
    });
    expect(undescribed).toEqual([]);
  });

  test('has UNKNOWN as first symbol and default of every enum, null first in every union, and no float of 64 bits', () => {
    const wrong: string[] = [];
    visit(current.schema, '', (node, path) => {
      if (node.type === 'enum' && (node.symbols?.[0] !== 'UNKNOWN' || node.default !== 'UNKNOWN')) wrong.push(path);
      if (Array.isArray(node.type) && (node.type[0] !== 'null' || node.type.length !== 2 || node.default !== null))
        wrong.push(path);
      if (node.type === 'double' || node.items === 'null') wrong.push(path);
    });
    expect(wrong).toEqual([]);
  });
});

test('a type that both records share is the same in both', () => {
  const seen = new Map<string, string>();
  for (const { schema } of Object.values(schemas)) {
    visit(schema, '', (node) => {
      if (node.name === undefined || (node.type !== 'record' && node.type !== 'enum')) return;
      const text = JSON.stringify(node);
      expect(seen.get(node.name) ?? text).toBe(text);
      seen.set(node.name, text);
    });
  }
});

test('the TypeScript types name exactly the fields of the schemas', () => {
  // A missing or extra key is a type error here; the values are not looked at.
  const detectionFrame: Record<keyof DetectionFrame, true> = {
    header: true,
    frame_width_px: true,
    frame_height_px: true,
    decision: true,
    failure_code: true,
    model: true,
    objects: true,
    motion: true,
    accounting: true,
    timing_ms: true,
  };
  const header: Record<keyof DetectionFrame['header'], true> = {
    message_id: true,
    camera_id: true,
    epoch: true,
    frame_seq: true,
    capture_time: true,
    capture_time_source: true,
    capture_time_error_ms: true,
    ingest_time: true,
    publish_time: true,
    pts_us: true,
    producer: true,
    tags: true,
  };
  const accounting: Record<keyof DetectionFrame['accounting'], true> = {
    frames_received: true,
    frames_analysed: true,
    frames_filtered: true,
    frames_dropped_ingest: true,
    frames_dropped_deadline: true,
    frames_failed: true,
    drops_by_reason: true,
    decode_errors: true,
    target_fps: true,
    effective_fps: true,
    load_state: true,
  };
  const frame: Record<keyof FrameRecord, true> = {
    header: true,
    frame_width_px: true,
    frame_height_px: true,
    fate: true,
    image: true,
    crop: true,
    motion: true,
    accounting: true,
    deadline: true,
    priority: true,
  };
  const presence: Record<keyof IngestPresence, true> = {
    instance_id: true,
    time: true,
    is_leaving: true,
    cameras: true,
    version: true,
  };
  const registration: Record<keyof CameraRegistration, true> = {
    camera_id: true,
    enabled: true,
    url: true,
    sealed_credentials: true,
    transport: true,
    fps: true,
    filter: true,
    allow_http: true,
    tls_insecure: true,
    crop: true,
    realtime: true,
    loop: true,
    stall_timeout_ms: true,
    max_age_ms: true,
    priority: true,
    tags: true,
    masks: true,
    zones: true,
    lines: true,
    config_version: true,
    created_at: true,
    updated_at: true,
    updated_by: true,
  };
  const claim: Record<keyof CameraClaim, true> = { camera_id: true, time: true, producer: true };
  const modelInfo: Record<keyof ModelInfo, true> = {
    revision: true,
    time: true,
    model_name: true,
    model_version: true,
    digest_sha256: true,
    state: true,
    action: true,
    traffic_share: true,
    cameras: true,
    gate: true,
    changed_by: true,
    change_reason: true,
  };
  const driftState: Record<keyof DriftState, true> = {
    camera_id: true,
    time: true,
    model_digest: true,
    window_ms: true,
    slot: true,
    slot_start: true,
    slots_filled: true,
    has_reference: true,
    frames: true,
    brightness: true,
    classes: true,
    drifting: true,
    changes: true,
  };
  const driftChange: Record<keyof DriftState['changes'][number], true> = {
    time: true,
    model_digest: true,
    measure: true,
    class_name: true,
    psi: true,
    is_over: true,
  };
  const cameraStatus: Record<keyof CameraStatus, true> = {
    message_id: true,
    camera_id: true,
    epoch: true,
    frame_seq: true,
    time: true,
    state: true,
    previous_state: true,
    state_since: true,
    reason_code: true,
    reason_text: true,
    codec: true,
    width_px: true,
    height_px: true,
    declared_fps: true,
    measured_fps: true,
    clock_source: true,
    reconnect_count: true,
    next_retry_at: true,
    backoff_ms: true,
    last_frame_time: true,
    time_to_first_result_ms: true,
    producer: true,
    tags: true,
  };
  const fields = new Map<string, string[]>();
  for (const { schema } of Object.values(schemas)) {
    visit(schema, '', (node) => {
      if (node.type === 'record' && node.name !== undefined)
        fields.set(node.name, node.fields?.map(({ name }) => name ?? '') ?? []);
    });
  }
  expect(fields.get('DetectionFrame')?.sort()).toEqual(Object.keys(detectionFrame).sort());
  expect(fields.get('Header')?.sort()).toEqual(Object.keys(header).sort());
  expect(fields.get('Accounting')?.sort()).toEqual(Object.keys(accounting).sort());
  expect(fields.get('Frame')?.sort()).toEqual(Object.keys(frame).sort());
  expect(fields.get('IngestPresence')?.sort()).toEqual(Object.keys(presence).sort());
  expect(fields.get('CameraClaim')?.sort()).toEqual(Object.keys(claim).sort());
  expect(fields.get('CameraRegistration')?.sort()).toEqual(Object.keys(registration).sort());
  expect(fields.get('ModelInfo')?.sort()).toEqual(Object.keys(modelInfo).sort());
  expect(fields.get('DriftState')?.sort()).toEqual(Object.keys(driftState).sort());
  expect(fields.get('DriftChange')?.sort()).toEqual(Object.keys(driftChange).sort());
  expect(fields.get('CameraStatus')?.sort()).toEqual(Object.keys(cameraStatus).sort());
});

describe('a change that would lock out a reader is found', () => {
  const enumType = { type: 'enum', name: 'Fate', symbols: ['UNKNOWN', 'GOOD', 'BAD'], default: 'UNKNOWN' };
  const base = {
    type: 'record',
    name: 'Sample',
    namespace: 'sightline',
    fields: [
      { name: 'id', type: 'string' },
      { name: 'size', type: 'int', default: 0 },
      { name: 'fate', type: enumType, default: 'UNKNOWN' },
      { name: 'note', type: ['null', 'string'], default: null },
      {
        name: 'boxes',
        type: { type: 'array', items: { type: 'record', name: 'Box', fields: [{ name: 'x', type: 'float' }] } },
        default: [],
      },
      { name: 'at', type: { type: 'long', logicalType: 'timestamp-micros' }, default: 0 },
    ],
  };
  const withField = (name: string, change: object | undefined): object => ({
    ...base,
    fields: base.fields.flatMap((field) =>
      field.name !== name ? [field] : change === undefined ? [] : [{ ...field, ...change }],
    ),
  });

  test.each([
    [
      'a field added without a default',
      { ...base, fields: [...base.fields, { name: 'extra', type: 'int' }] },
      'extra: added without a default',
    ],
    ['a field removed that has no default', withField('id', undefined), 'id: removed'],
    ['a wider number', withField('size', { type: 'long' }), 'size: type changed from int to long'],
    ['another default', withField('size', { default: 1 }), 'size: default changed'],
    [
      'a symbol removed',
      withField('fate', { type: { ...enumType, symbols: ['UNKNOWN', 'GOOD'] } }),
      'symbol BAD removed',
    ],
    [
      'a symbol put before others',
      withField('fate', { type: { ...enumType, symbols: ['UNKNOWN', 'NEW', 'GOOD', 'BAD'] } }),
      'may only be appended',
    ],
    ['a union with one branch more', withField('note', { type: ['null', 'string', 'int'] }), 'note: branches'],
    ['a union undone', withField('note', { type: 'string', default: '' }), 'note: type changed'],
    [
      'a field added deep inside without a default',
      withField('boxes', {
        type: {
          type: 'array',
          items: {
            type: 'record',
            name: 'Box',
            fields: [
              { name: 'x', type: 'float' },
              { name: 'y', type: 'float' },
            ],
          },
        },
      }),
      'boxes[].y: added without a default',
    ],
    ['a logical type taken away', withField('at', { type: 'long' }), 'at: type changed'],
    ['another name of the record', { ...base, name: 'Other' }, 'the record: type changed'],
  ])('%s', (_what, changed, problem) => {
    expect(evolutionProblems(base, changed).join('\n')).toContain(problem);
  });

  test.each([
    ['a field added with a default', { ...base, fields: [...base.fields, { name: 'extra', type: 'int', default: 3 }] }],
    ['a field removed that has a default', withField('size', undefined)],
    ['a symbol appended', withField('fate', { type: { ...enumType, symbols: [...enumType.symbols, 'UGLY'] } })],
  ])('and %s is not', (_what, changed) => {
    expect(evolutionProblems(base, changed)).toEqual([]);
    expect(() => createAvroType(base).reading(changed)).not.toThrow();
    expect(() => createAvroType(changed).reading(base)).not.toThrow();
  });

  test('an older reader sees UNKNOWN for a symbol that it does not know', () => {
    const newer = withField('fate', { type: { ...enumType, symbols: [...enumType.symbols, 'UGLY'] } });
    const bytes = createAvroType(newer).encode({ id: 'a', size: 1, fate: 'UGLY', note: null, boxes: [], at: 0 });
    expect(createAvroType(base).reading(newer).decode(bytes, 0)?.value).toMatchObject({ id: 'a', fate: 'UNKNOWN' });
  });
});

interface Node {
  readonly type?: unknown;
  readonly name?: string;
  readonly doc?: unknown;
  readonly default?: unknown;
  readonly symbols?: readonly string[];
  readonly fields?: readonly Node[];
  readonly items?: unknown;
}

function visit(node: unknown, path: string, look: (node: Node, path: string) => void): void {
  if (Array.isArray(node)) {
    for (const branch of node) visit(branch, path, look);
    return;
  }
  if (typeof node !== 'object' || node === null) return;
  const known = node as Node;
  const here = known.name === undefined ? path : `${path}/${known.name}`;
  look(known, here);
  for (const field of known.fields ?? []) visit(field, here, look);
  if (typeof known.type === 'object') visit(known.type, here, look);
  if (known.items !== undefined) visit(known.items, here, look);
}
