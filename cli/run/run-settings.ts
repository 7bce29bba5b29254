import type { SettingsSchema } from '#shared/core/check-schema';
import { inputShapes, type InputShape } from '#shared/core/input-shape';
import { oidcSettings, type OidcSettings } from '../control/identity.ts';
import type { ExecutionProvider } from '../../services/inference/core/ports.ts';

const fraction = { type: 'number', minimum: 0, maximum: 1 } as const satisfies SettingsSchema;
const score = { type: 'number', minimum: 0, maximum: 1 } as const satisfies SettingsSchema;

const camera = {
  type: 'object',
  required: ['url'],
  properties: {
    url: {
      type: 'string',
      minLength: 1,
      maxLength: 4096,
      description: 'rtsp://, rtsps://, http(s):// (with allow_http) or a file. ${NAME} is taken from the environment.',
    },
    password_file: { type: 'string', minLength: 1, description: "File that holds the camera's password." },
    fps: { type: 'number', exclusiveMinimum: 0, maximum: 120, description: 'Frames per second to sample.' },
    filter: { enum: ['off', 'auto'], description: 'Whether frames without change are left out.' },
    transport: { enum: ['tcp', 'udp'], description: 'How RTP comes from the camera.' },
    tls_insecure: { type: 'boolean', description: 'Accept a certificate that cannot be verified.' },
    crop: {
      type: 'object',
      required: ['x', 'y', 'width', 'height'],
      properties: { x: fraction, y: fraction, width: fraction, height: fraction },
      description: 'Region of interest, as fractions of the picture.',
    },
    masks: {
      type: 'array',
      maxItems: 64,
      items: {
        type: 'array',
        minItems: 3,
        maxItems: 64,
        items: { type: 'object', required: ['x', 'y'], properties: { x: fraction, y: fraction } },
      },
      description: 'What nobody is to see: polygons, their points as fractions of the whole picture.',
    },
    tags: {
      type: 'object',
      additionalProperties: { type: 'string', maxLength: 200 },
      description: 'Copied into every record.',
    },
    realtime: { type: 'boolean', description: 'Play a file at its own speed. Default: yes, unless until_end.' },
    loop: { type: 'boolean', description: 'Start a file over when it ends.' },
    stall_timeout_s: {
      type: 'number',
      minimum: 1,
      maximum: 3600,
      description: 'Without a frame for this long: connect anew.',
    },
    max_age_s: {
      type: 'number',
      minimum: 0.1,
      maximum: 3600,
      description: 'A live frame older than this is not analysed.',
    },
    priority: {
      type: 'integer',
      minimum: 1,
      maximum: 10,
      description:
        'Share of inference while cameras wait for each other (services on Kafka): 2 gets twice as much as 1.',
    },
  },
} as const satisfies SettingsSchema;

/** All settings of `sightline run`: the names of the YAML file, of the variables (`http.port` is SIGHTLINE_HTTP_PORT) and, with dashes, of the flags. */
export const runSettings = {
  type: 'object',
  properties: {
    cameras: { type: 'object', additionalProperties: camera, default: {}, description: 'Cameras by name.' },
    model: {
      type: 'string',
      minLength: 1,
      default: 'auto',
      description:
        'Name of a model, its manifest, or its .onnx file beside a manifest. auto: yolox-nano where its file is here, else the bundled sightline-nano.',
    },
    embedding_model: {
      type: 'string',
      minLength: 1,
      description:
        'Name of a model of family embedding, or its manifest: each object that it is for gets a vector of what it looks like. Default: none.',
    },
    models_dir: { type: 'string', minLength: 1, description: 'Where models are looked for first.' },
    provider: {
      enum: ['cpu', 'cuda', 'tensorrt', 'coreml', 'dml', 'webgpu'],
      description:
        'Execution provider that the model runs on. One that is not usable here is told, and the CPU used. Default: what models bench --write found, else cpu.',
    },
    model_key_file: {
      type: 'string',
      minLength: 1,
      description: 'File of an Ed25519 public key (PEM). Models without a signature by it are then refused.',
    },
    fps: {
      type: 'number',
      exclusiveMinimum: 0,
      maximum: 120,
      default: 5,
      description:
        'Frames per second to sample of each camera. 5 follows a walking person and costs a fifth of what cameras send.',
    },
    filter: { enum: ['off', 'auto'], default: 'off', description: 'Whether frames without change are left out.' },
    input_shape: {
      enum: inputShapes,
      description:
        'Shape that the model runs pictures in: fixed as its file, trim (less work, the same objects) or fit (as much work, smaller objects seen). Default: what its manifest says.',
    },
    threshold: { ...score, description: "Lowest confidence of an object. Default: the model's own." },
    thresholds: { type: 'object', additionalProperties: score, default: {}, description: 'The same by class name.' },
    threads: {
      type: 'integer',
      minimum: 1,
      maximum: 256,
      description:
        'Frames inferred at once. Default: what models bench --write found, else one less than the processors, at least 1: decoding needs one too.',
    },
    drift_window_hours: {
      type: 'number',
      minimum: 0,
      maximum: 8784,
      default: 24,
      description:
        'What cameras show and the model sees is compared over windows of this length, the first one being the reference; 0: not at all. A day, so that night is not taken for drift.',
    },
    allow_http: { type: 'boolean', default: false, description: 'Allow http(s) cameras (MJPEG, HLS).' },
    deny_loopback: { type: 'boolean', default: false, description: 'Refuse cameras on this machine.' },
    deny_private: { type: 'boolean', default: false, description: 'Refuse cameras at private addresses.' },
    results: {
      type: 'string',
      minLength: 1,
      default: 'results',
      description:
        'PATH.avro, PATH.jsonl, a directory, - for JSON lines on standard output, or kafka://HOST:PORT[,HOST:PORT]/?registry=URL.',
    },
    rotate: {
      type: 'object',
      default: {},
      properties: {
        size_mb: {
          type: 'number',
          minimum: 1,
          maximum: 1_000_000,
          default: 256,
          description: 'A new file at this size.',
        },
        minutes: {
          type: 'number',
          minimum: 0.1,
          maximum: 100_000,
          default: 60,
          description: 'A new file after this time.',
        },
      },
      description: 'For a results directory.',
    },
    until_end: {
      type: 'boolean',
      default: false,
      description: 'Read files to their end without dropping anything, then stop.',
    },
    duration_s: {
      type: 'number',
      exclusiveMinimum: 0,
      maximum: 31_536_000,
      description: 'Stop after this many seconds.',
    },
    summary: { type: 'string', minLength: 1, description: 'JSON file to write the totals of the run to.' },
    http: {
      type: 'object',
      default: {},
      properties: {
        port: {
          type: 'integer',
          minimum: 0,
          maximum: 65_535,
          description:
            'Serve the API, /docs, /healthz, /readyz and /metrics here. Default: 8080 or the next free one at a terminal, else none.',
        },
        host: { type: 'string', minLength: 1, default: '127.0.0.1', description: 'Address to listen on.' },
      },
    },
    oidc: oidcSettings,
    events: {
      type: 'object',
      default: {},
      properties: {
        max_count: {
          type: 'integer',
          minimum: 100,
          maximum: 10_000_000,
          default: 50_000,
          description:
            'Most events that are kept; some 400 bytes each. Where there are more, the oldest of the camera with the most go.',
        },
        max_days: {
          type: 'number',
          minimum: 0.01,
          maximum: 3_650,
          default: 30,
          description: 'How long events are kept: long enough to look back at last month.',
        },
      },
      description: 'What happened: events of cameras, registrations and models, kept where the API is.',
    },
    log: {
      type: 'object',
      default: {},
      properties: {
        level: { enum: ['debug', 'info', 'warn', 'error', 'silent'], default: 'info' },
        format: { enum: ['auto', 'json', 'pretty'], default: 'auto' },
      },
    },
    state_dir: { type: 'string', minLength: 1, description: 'Where epochs, models and the demo clip are kept.' },
    ffmpeg: { type: 'string', minLength: 1, default: 'ffmpeg', description: 'The ffmpeg program.' },
  },
} as const satisfies SettingsSchema;

export interface CameraSettings {
  readonly url: string;
  readonly password_file?: string;
  readonly fps?: number;
  readonly filter?: 'off' | 'auto';
  readonly transport?: 'tcp' | 'udp';
  readonly tls_insecure?: boolean;
  readonly crop?: { readonly x: number; readonly y: number; readonly width: number; readonly height: number };
  readonly masks?: readonly (readonly { readonly x: number; readonly y: number }[])[];
  readonly tags?: Readonly<Record<string, string>>;
  readonly realtime?: boolean;
  readonly loop?: boolean;
  readonly stall_timeout_s?: number;
  readonly max_age_s?: number;
  readonly priority?: number;
}

/** The settings as checked against `runSettings`; a unit test holds the two together. */
export interface RunSettings {
  readonly cameras: Readonly<Record<string, CameraSettings>>;
  readonly model: string;
  readonly embedding_model?: string;
  readonly models_dir?: string;
  readonly model_key_file?: string;
  readonly provider?: ExecutionProvider;
  readonly fps: number;
  readonly filter: 'off' | 'auto';
  readonly input_shape?: InputShape;
  readonly threshold?: number;
  readonly thresholds: Readonly<Record<string, number>>;
  readonly threads?: number;
  readonly drift_window_hours: number;
  readonly allow_http: boolean;
  readonly deny_loopback: boolean;
  readonly deny_private: boolean;
  readonly results: string;
  readonly rotate: { readonly size_mb: number; readonly minutes: number };
  readonly until_end: boolean;
  readonly duration_s?: number;
  readonly summary?: string;
  readonly http: { readonly port?: number; readonly host: string };
  readonly oidc?: OidcSettings;
  readonly events: { readonly max_count: number; readonly max_days: number };
  readonly log: {
    readonly level: 'debug' | 'info' | 'warn' | 'error' | 'silent';
    readonly format: 'auto' | 'json' | 'pretty';
  };
  readonly state_dir?: string;
  readonly ffmpeg: string;
}
