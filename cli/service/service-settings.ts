import type { SettingsSchema } from '#shared/core/check-schema';
import { AppError } from '#shared/core/errors';
import type { InputShape } from '#shared/core/input-shape';
import { loadConfig, type DeepReadonly } from '#shared/runtime/load-config';
import type { OidcSettings } from '../control/identity.ts';
import type { ExecutionProvider } from '../../services/inference/core/ports.ts';
import type { CameraSettings } from '../run/run-settings.ts';
import { runSettings } from '../run/run-settings.ts';

const minute = 60_000;

/** Settings that all services share: the names of the YAML file and of the variables (`http.port` is SIGHTLINE_HTTP_PORT). */
const common = {
  brokers: {
    type: 'string',
    minLength: 1,
    description: 'HOST:PORT of a few Kafka brokers, with commas between. Also KAFKA_BROKERS.',
  },
  registry: { type: 'string', minLength: 1, description: 'URL of the schema registry. Also SCHEMA_REGISTRY_URL.' },
  topics: {
    type: 'object',
    default: {},
    properties: {
      prefix: {
        type: 'string',
        pattern: '^[\\w-][\\w.-]{0,199}$',
        default: 'sightline',
        description: 'What the names of topics and groups begin with.',
      },
      partitions: {
        type: 'integer',
        minimum: 1,
        maximum: 9_999,
        default: 12,
        description:
          'Of frames and detections: at most so many inference processes share the cameras. Only `init` asks.',
      },
      replication: {
        type: 'integer',
        minimum: 1,
        maximum: 9,
        default: 1,
        description:
          'Copies of each record; 3 on a cluster: then two have to hold it before it counts. Only `init` asks.',
      },
      frames_retention_minutes: {
        type: 'number',
        minimum: 0.1,
        maximum: 100_000,
        default: 10,
        description:
          'How long frames are kept. They are pictures of people: as short as an outage of inference allows.',
      },
      results_retention_hours: {
        type: 'number',
        minimum: 0.1,
        maximum: 1_000_000,
        default: 168,
        description: 'How long detections are kept.',
      },
    },
  },
  http: {
    type: 'object',
    default: {},
    properties: {
      port: { type: 'integer', minimum: 0, maximum: 65_535, description: '/healthz, /readyz and /metrics are here.' },
      host: { type: 'string', minLength: 1, default: '127.0.0.1', description: 'Address to listen on.' },
    },
  },
  log: runSettings.properties.log,
  session_timeout_s: {
    type: 'number',
    minimum: 0.5,
    maximum: 300,
    default: 6,
    description:
      'A process that is silent for so long loses its cameras to the others. The broker has to allow it: group.min.session.timeout.ms, 6 s by default.',
  },
} as const satisfies Record<string, SettingsSchema>;

const inferenceOnly = {
  model: runSettings.properties.model,
  embedding_model: runSettings.properties.embedding_model,
  models_dir: runSettings.properties.models_dir,
  model_key_file: runSettings.properties.model_key_file,
  input_shape: runSettings.properties.input_shape,
  provider: runSettings.properties.provider,
  state_dir: runSettings.properties.state_dir,
  threshold: runSettings.properties.threshold,
  thresholds: runSettings.properties.thresholds,
  threads: runSettings.properties.threads,
  drift_window_hours: runSettings.properties.drift_window_hours,
} as const satisfies Record<string, SettingsSchema>;

const ingestOnly = {
  cameras: runSettings.properties.cameras,
  fps: runSettings.properties.fps,
  filter: runSettings.properties.filter,
  allow_http: runSettings.properties.allow_http,
  deny_loopback: runSettings.properties.deny_loopback,
  deny_private: runSettings.properties.deny_private,
  ffmpeg: runSettings.properties.ffmpeg,
  lease_s: {
    type: 'number',
    minimum: 1,
    maximum: 300,
    default: 5,
    description: 'A camera whose ingest is silent for so long goes to another one.',
  },
  max_cameras: {
    type: 'integer',
    minimum: 1,
    maximum: 10_000,
    default: 1_000,
    description: 'Most cameras that this process takes.',
  },
} as const satisfies Record<string, SettingsSchema>;

const controlOnly = {
  control_dir: {
    type: 'string',
    minLength: 1,
    description: 'Where the control service keeps tokens, events and the audit log. Default: state_dir.',
  },
  events: runSettings.properties.events,
  oidc: runSettings.properties.oidc,
} as const satisfies Record<string, SettingsSchema>;

/** One schema for all services, so that one file can configure an installation; each takes what concerns it. */
export const serviceSettings = {
  type: 'object',
  properties: { ...common, ...inferenceOnly, ...ingestOnly, ...controlOnly },
} as const satisfies SettingsSchema;

/** The settings as checked against `serviceSettings`. */
export interface ServiceSettings {
  readonly brokers?: string;
  readonly registry?: string;
  readonly topics: {
    readonly prefix: string;
    readonly partitions: number;
    readonly replication: number;
    readonly frames_retention_minutes: number;
    readonly results_retention_hours: number;
  };
  readonly http: { readonly port?: number; readonly host: string };
  readonly log: {
    readonly level: 'debug' | 'info' | 'warn' | 'error' | 'silent';
    readonly format: 'auto' | 'json' | 'pretty';
  };
  readonly session_timeout_s: number;
  readonly model: string;
  readonly embedding_model?: string;
  readonly models_dir?: string;
  readonly model_key_file?: string;
  readonly input_shape?: InputShape;
  readonly provider?: ExecutionProvider;
  readonly state_dir?: string;
  readonly threshold?: number;
  readonly thresholds: Readonly<Record<string, number>>;
  readonly threads?: number;
  readonly drift_window_hours: number;
  readonly cameras: Readonly<Record<string, CameraSettings>>;
  readonly fps: number;
  readonly filter: 'off' | 'auto';
  readonly allow_http: boolean;
  readonly deny_loopback: boolean;
  readonly deny_private: boolean;
  readonly ffmpeg: string;
  readonly lease_s: number;
  readonly max_cameras: number;
  readonly control_dir?: string;
  readonly oidc?: OidcSettings;
  readonly events: { readonly max_count: number; readonly max_days: number };
}

export type Environment = Readonly<Record<string, string | undefined>>;

export interface ServiceRequest {
  readonly configFile?: string;
  /** Settings from the command line, in the shape of `serviceSettings`. */
  readonly flags: Readonly<Record<string, unknown>>;
}

/** Reads file, environment and flags. Throws SIGHTLINE_CONFIG_INVALID. */
export function loadServiceSettings(request: ServiceRequest, environment: Environment): DeepReadonly<ServiceSettings> {
  return loadConfig<typeof serviceSettings, ServiceSettings>(serviceSettings, {
    ...(request.configFile === undefined ? {} : { file: request.configFile }),
    environment: {
      // The names that the tools around Kafka share, under ours.
      SIGHTLINE_BROKERS: environment['KAFKA_BROKERS'],
      SIGHTLINE_REGISTRY: environment['SCHEMA_REGISTRY_URL'],
      ...withoutEmpty(environment),
    },
    flags: request.flags,
  });
}

/** Where Kafka and its registry are. Throws SIGHTLINE_CONFIG_INVALID where a setting is missing. */
export function addressesOf({ brokers, registry }: Pick<ServiceSettings, 'brokers' | 'registry'>): {
  readonly brokers: readonly string[];
  readonly registryUrl: string;
} {
  if (brokers === undefined) throw missing('brokers', 'KAFKA_BROKERS', 'kafka:9092');
  if (registry === undefined) throw missing('registry', 'SCHEMA_REGISTRY_URL', 'http://registry:8080/apis/ccompat/v7');
  return { brokers: brokers.split(',').map((broker) => broker.trim()), registryUrl: registry };
}

export function retentionMs({ topics }: Pick<ServiceSettings, 'topics'>): { frames: number; results: number } {
  return {
    frames: Math.round(topics.frames_retention_minutes * minute),
    results: Math.round(topics.results_retention_hours * 60 * minute),
  };
}

function missing(setting: string, variable: string, example: string): AppError {
  return new AppError(
    'SIGHTLINE_CONFIG_INVALID',
    `${setting} is missing: set ${variable}, for example ${variable}=${example}`,
  );
}

function withoutEmpty(environment: Environment): Environment {
  return Object.fromEntries(Object.entries(environment).filter(([, value]) => value !== ''));
}
