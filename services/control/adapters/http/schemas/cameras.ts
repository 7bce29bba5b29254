import { Type } from 'typebox';
import { CameraId, NextCursor, nullable, strict } from './common.ts';
import { BoundingBox, CameraStatusRecord } from './records.ts';

const Fraction = Type.Number({ minimum: 0, maximum: 1 });
const Point = strict({ x: Fraction, y: Fraction });
const ShapeId = Type.String({ pattern: '^[a-zA-Z0-9_-]{1,64}$' });
const ShapeName = Type.String({ maxLength: 100 });
const polygon = Type.Array(Point, { minItems: 3, maxItems: 64 });
const Mask = strict({ id: ShapeId, name: ShapeName, polygon }, { title: 'Mask' });
const Zone = strict(
  {
    ...{ id: ShapeId, name: ShapeName, polygon },
    classes: Type.Optional(
      Type.Array(Type.String({ minLength: 1, maxLength: 100 }), {
        maxItems: 100,
        description: 'Classes that count here; empty for all. Left out: as they were.',
      }),
    ),
  },
  { title: 'Zone' },
);
const directionName = Type.Optional(Type.String({ maxLength: 100, description: 'Left out: as it was.' }));
const Line = strict(
  { id: ShapeId, name: ShapeName, from: Point, to: Point, a_to_b: directionName, b_to_a: directionName },
  {
    title: 'Line',
    description: 'A is to the left, seen from `from` to `to`; crossings of either direction have a name.',
  },
);
const Geometry = strict(
  {
    zones: Type.Array(Zone, { maxItems: 64 }),
    lines: Type.Array(Line, { maxItems: 64 }),
    masks: Type.Array(Mask, { maxItems: 64 }),
  },
  { title: 'Geometry', description: 'Drawn on the picture, as fractions of it. Kept; nothing works by it yet.' },
);

const Url = Type.String({
  minLength: 1,
  maxLength: 2048,
  description: 'rtsp://user:password@host:port/path, or a file. Credentials go in and never come out again.',
});
const Password = Type.String({
  minLength: 1,
  maxLength: 256,
  writeOnly: true,
  description: 'Takes the place of the one in the URL. Kept sealed, never in any answer.',
});

const options = {
  enabled: Type.Boolean({ description: 'Default true.' }),
  fps: Type.Number({ exclusiveMinimum: 0, maximum: 120, description: 'Frames per second to sample. Default 5.' }),
  filter: Type.Enum(['off', 'auto'], { description: 'Whether frames without change are left out. Default off.' }),
  transport: Type.Enum(['tcp', 'udp'], { description: 'How RTP comes from the camera. Default tcp.' }),
  tls_insecure: Type.Boolean({ description: 'Accept a certificate that cannot be verified. Default false.' }),
  crop: nullable(BoundingBox),
  tags: Type.Record(Type.String({ pattern: '^[a-zA-Z0-9_.-]{1,64}$' }), Type.String({ maxLength: 200 }), {
    description: 'Copied into every record.',
  }),
  stall_timeout_s: Type.Number({
    minimum: 1,
    maximum: 3600,
    description: 'Without a frame for so long: connect anew.',
  }),
  max_age_s: Type.Number({ minimum: 0.1, maximum: 3600, description: 'A live frame older than this is not analysed.' }),
  loop: Type.Boolean({ description: 'Start a file over when it ends. Default false.' }),
  realtime: Type.Boolean({ description: 'Play a file at its own speed; of no meaning for cameras. Default true.' }),
  priority: Type.Integer({
    minimum: 1,
    maximum: 10,
    description: 'Share of inference while cameras wait for each other. Default 1.',
  }),
  allow_http: Type.Boolean({
    description: 'Take an http(s) camera (MJPEG, HLS). Default: as the run was started, which is false.',
  }),
  geometry: Geometry,
};

const optional = Object.fromEntries(Object.entries(options).map(([name, schema]) => [name, Type.Optional(schema)])) as {
  [Name in keyof typeof options]: ReturnType<typeof Type.Optional<(typeof options)[Name]>>;
}; // the same names, each made optional

const Placement = strict(
  {
    ingest: Type.String({ description: 'Instance of the ingest that claimed the camera last.' }),
    epoch: Type.Integer({ description: 'Of that claim.' }),
    claimed_at: Type.String(),
    is_attended: Type.Boolean({ description: 'That ingest lives and says that it has the camera.' }),
    heard_s_ago: nullable(Type.Number({ description: 'null: that ingest is gone.' })),
  },
  { title: 'Placement', description: 'Absent where everything runs in one process; null before any ingest took it.' },
);

export const Camera = strict(
  {
    id: CameraId,
    url: Type.String({ description: 'Without credentials.' }),
    has_credentials: Type.Boolean(),
    ...options,
    origin: Type.Enum(['api', 'file'], { description: '`file`: from the settings file, and changed there.' }),
    version: Type.Integer({ description: 'Rises with each change; also the ETag.' }),
    created_at: Type.String(),
    updated_at: Type.String(),
    status: nullable(CameraStatusRecord),
    figures: nullable(
      strict({
        received_fps: Type.Number(),
        analysed_fps: Type.Number(),
        newest_capture_time: nullable(
          Type.Integer({ description: 'When the newest picture with a result was taken; microseconds since 1970.' }),
        ),
      }),
    ),
    placement: Type.Optional(nullable(Placement)),
  },
  { title: 'Camera' },
);

export const CameraPage = strict({ items: Type.Array(Camera), next_cursor: NextCursor }, { title: 'CameraPage' });

export const CameraDraft = strict(
  { id: CameraId, url: Url, password: Type.Optional(Password), ...optional },
  { title: 'CameraDraft' },
);

const savingOptions = {
  save_anyway: Type.Optional(
    Type.Boolean({
      description: 'Keep the camera though it does not work now, or no capacity is left. Default false.',
    }),
  ),
  probe: Type.Optional(Type.Boolean({ description: 'false: do not try it first. Default true.' })),
};

export const NewCamera = strict(
  {
    id: CameraId,
    url: Url,
    password: Type.Optional(Password),
    ...optional,
    ...savingOptions,
  },
  { title: 'NewCamera' },
);

export const CameraPatch = strict(
  { url: Type.Optional(Url), password: Type.Optional(Password), ...optional, ...savingOptions },
  {
    title: 'CameraPatch',
    description:
      'What is left out stays as it is. A change of where or how its stream comes is tried first; more frames per second, or switching it on, ask for capacity.',
  },
);

const nullableNumber = nullable(Type.Number());
export const ProbeStep = strict(
  { step: Type.String(), ok: Type.Boolean(), duration_ms: Type.Number(), detail: Type.String() },
  { title: 'ProbeStep' },
);
export const ProbeVerdict = strict(
  {
    usable: Type.Boolean(),
    reason_code: Type.String({ description: 'NONE when usable.' }),
    reason_text: Type.String(),
    action: nullable(Type.String({ description: 'What to do about it.' })),
    advice: Type.Array(Type.String()),
    target: Type.String({ description: 'Without credentials.' }),
    codec: nullable(Type.String()),
    width_px: nullableNumber,
    height_px: nullableNumber,
    declared_fps: nullableNumber,
    measured_fps: nullableNumber,
    keyframe_interval_ms: nullableNumber,
    clock_source: Type.String(),
    clock_offset_ms: nullableNumber,
    transport: nullable(Type.String()),
    is_encrypted: Type.Boolean(),
    auth_scheme: nullable(Type.String()),
    server_name: nullable(Type.String()),
    packet_loss_ratio: nullableNumber,
    steps: Type.Array(ProbeStep),
    duration_ms: Type.Number(),
  },
  { title: 'ProbeVerdict' },
);

export const Capacity = strict(
  {
    cores: Type.Number(),
    cpu_ms_per_frame: Type.Number({ description: 'CPU time of one analysed frame, decoding included.' }),
    is_measured: Type.Boolean({ description: 'false: too few frames yet; the figure is the one that we expect.' }),
    planned_cores: Type.Number({ description: 'What the cameras that are on are expected to use.' }),
    free_cores: Type.Number(),
  },
  { title: 'Capacity' },
);
export const Cost = strict({ cores: Type.Number(), fits: Type.Boolean() }, { title: 'Cost' });

export const ProbeRequest = strict(
  {
    id: Type.Optional(CameraId),
    url: Type.Optional(Url),
    password: Type.Optional(Password),
    transport: Type.Optional(options.transport),
    tls_insecure: Type.Optional(options.tls_insecure),
    fps: Type.Optional(options.fps),
    allow_http: Type.Optional(options.allow_http),
  },
  { title: 'ProbeRequest', description: 'A `url`, or the `id` of a camera that is registered.' },
);

const verdictParts = { verdict: nullable(ProbeVerdict), cost: nullable(Cost), capacity: nullable(Capacity) };
export const ProbeAnswer = strict(verdictParts, { title: 'ProbeAnswer' });
export const CameraCreated = strict({ camera: Camera, ...verdictParts }, { title: 'CameraCreated' });

export const ImportRequest = strict(
  {
    // Unchecked here: one wrong camera must not refuse the others, and each is to be named.
    cameras: Type.Array(Type.Unknown(), { minItems: 1, maxItems: 10_000 }),
    update: Type.Optional(
      Type.Boolean({ description: 'Change cameras that exist already. Default false: they are named as errors.' }),
    ),
  },
  { title: 'ImportRequest', description: 'Cameras as in CameraDraft. They are not probed; their status tells.' },
);
export const ImportAnswer = strict(
  {
    created: Type.Integer(),
    updated: Type.Integer(),
    failed: Type.Integer(),
    errors: Type.Array(
      strict({
        index: Type.Integer({ description: 'Place in the list, from 0.' }),
        id: nullable(Type.String()),
        code: Type.String(),
        detail: Type.String(),
      }),
    ),
  },
  { title: 'ImportAnswer' },
);
export const ExportAnswer = strict(
  { cameras: Type.Array(strict({ id: CameraId, url: Type.String(), ...options })) },
  { title: 'ExportAnswer', description: 'What an import takes; passwords are left out.' },
);

export const Accounting = strict(
  {
    camera_id: CameraId,
    received_fps: Type.Number(),
    analysed_fps: Type.Number(),
    frames_received: Type.Integer(),
    frames_analysed: Type.Integer(),
    frames_filtered: Type.Integer(),
    frames_dropped: Type.Integer(),
    frames_expired: Type.Integer(),
    frames_failed: Type.Integer(),
    drops_by_reason: Type.Record(Type.String(), Type.Integer()),
    decode_errors: Type.Integer(),
  },
  { title: 'Accounting', description: 'Since this process started. Exact counts stand on the records.' },
);
