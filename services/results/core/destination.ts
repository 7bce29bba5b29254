import { AppError } from '#shared/core/errors';

/** Where results go, as `--results` says it. */
export type ResultsDestination =
  | { readonly kind: 'avro-file'; readonly detectionsPath: string; readonly statusPath: string }
  | { readonly kind: 'avro-directory'; readonly directory: string }
  | { readonly kind: 'json-lines-file'; readonly path: string }
  | { readonly kind: 'standard-output' }
  | KafkaDestination;

/** Two topics, and the registry that holds the schemas of their records. */
export interface KafkaDestination {
  readonly kind: 'kafka';
  /** `host:port` of each. */
  readonly brokers: readonly string[];
  readonly registryUrl: string;
  readonly detectionsTopic: string;
  readonly statusTopic: string;
  /** Of a topic that has to be created. */
  readonly partitions: number;
  readonly replicationFactor: number;
}

export type FileDestination = Exclude<ResultsDestination, KafkaDestination>;

/**
 * Reads `PATH.avro`, `PATH.jsonl`, `DIRECTORY`, `-` or `kafka://BROKER[,BROKER]/?registry=URL` by the text alone, so that the same text
 * always means the same.
 */
export function parseDestination(text: string): ResultsDestination {
  if (text === '-') return { kind: 'standard-output' };
  if (/^kafka:/i.test(text)) return parseKafkaDestination(text);
  if (text === '' || text.includes('\0')) throw invalidDestination(text, 'it is not a path');
  const lastPart = text.slice(text.lastIndexOf('/') + 1);
  if (lastPart === '' || lastPart === '.' || lastPart === '..') return { kind: 'avro-directory', directory: text };
  const dot = lastPart.lastIndexOf('.');
  const extension = dot > 0 ? lastPart.slice(dot) : '';
  switch (extension) {
    case '.avro':
      return { kind: 'avro-file', detectionsPath: text, statusPath: statusPathBeside(text) };
    case '.jsonl':
      return { kind: 'json-lines-file', path: text };
    case '':
      return { kind: 'avro-directory', directory: text };
    default:
      throw invalidDestination(text, `"${extension}" is not an ending that is written`);
  }
}

/** The file of camera statuses that belongs to a file of detections: `out.avro` -> `out.camera-status.avro`. */
export function statusPathBeside(detectionsPath: string): string {
  return `${detectionsPath.slice(0, -'.avro'.length)}.camera-status.avro`;
}

/** The name that an earlier run's file is kept under: `out.avro` -> `out.20261123T062510Z.avro`. `attempt` counts from 1. */
export function keptPath(path: string, timeUs: number, attempt: number): string {
  const slash = path.lastIndexOf('/') + 1;
  const stamp = attempt === 1 ? compactUtcTime(timeUs) : `${compactUtcTime(timeUs)}-${attempt}`;
  // Before the whole ending, so that a pair of files stays a pair: out.<time>.camera-status.avro.
  const ending = /(?:\.camera-status)?\.[^.]+$/.exec(path.slice(slash));
  const at = ending === null ? path.length : slash + ending.index;
  return `${path.slice(0, at)}.${stamp}${path.slice(at)}`;
}

/** The name of the `number`th file of a directory, counted from 1; sorts by time. */
export function rotatedFileName(series: 'detections' | 'camera-status', timeUs: number, number: number): string {
  return `${series}-${compactUtcTime(timeUs)}-${String(number).padStart(4, '0')}.avro`;
}

function compactUtcTime(timeUs: number): string {
  return new Date(timeUs / 1000).toISOString().replace(/\.\d+/, '').replaceAll(/[-:]/g, '');
}

const kafkaDefaults = { prefix: 'sightline', partitions: '6', replication: '1' } as const;
const defaultBrokerPort = '9092';

/** What is wrong is said without the text: somebody may have put a password into it. */
function parseKafkaDestination(text: string): KafkaDestination {
  const invalid = (reason: string): AppError =>
    new AppError('SIGHTLINE_RESULTS_DESTINATION_INVALID', `--results kafka://…: ${reason}`, {
      action:
        'Give it as kafka://HOST:PORT[,HOST:PORT]/?registry=http://HOST:PORT/PATH, further &prefix=, &partitions= or &replication=.',
    });
  const parts = /^kafka:\/\/([^/?#]*)\/?(?:\?([^#]*))?$/i.exec(text);
  if (parts === null) throw invalid('it does not have that form');
  const [, authority = '', query = ''] = parts;
  if (authority.includes('@')) throw invalid('user name and password belong into KAFKA_SASL_USERNAME and _PASSWORD');
  const brokers = authority.split(',').map((broker) => {
    const address = /^(\[[0-9a-f:.]+\]|[a-z0-9_.-]+)(?::(\d{1,5}))?$/i.exec(broker);
    if (address?.[1] === undefined || Number(address[2] ?? 1) > 65_535 || Number(address[2] ?? 1) === 0) {
      throw invalid('a broker is not HOST or HOST:PORT');
    }
    return `${address[1]}:${address[2] ?? defaultBrokerPort}`;
  });
  const settings = new Map<string, string>();
  for (const [name, value] of new URLSearchParams(query)) {
    if (name !== 'registry' && !Object.hasOwn(kafkaDefaults, name)) throw invalid('a name behind the ? is not known');
    if (settings.has(name)) throw invalid(`${name} is given twice`);
    settings.set(name, value);
  }
  const setting = (name: keyof typeof kafkaDefaults): string => settings.get(name) ?? kafkaDefaults[name];
  const count = (name: 'partitions' | 'replication', max: number): number => {
    const value = Number(setting(name));
    if (!Number.isInteger(value) || value < 1 || value > max) throw invalid(`${name} is not a number from 1 to ${max}`);
    return value;
  };
  const prefix = setting('prefix');
  // The longest name of a topic is 249 characters; two topics that differ in . and _ only would share their metrics.
  if (!/^[a-zA-Z0-9._-]{1,200}$/.test(prefix) || /^\.+$/.test(prefix)) throw invalid('prefix is not a name for topics');
  return {
    kind: 'kafka',
    brokers,
    registryUrl: registryUrlOf(settings.get('registry'), invalid),
    detectionsTopic: `${prefix}.detections`,
    statusTopic: `${prefix}.camera-status`,
    partitions: count('partitions', 10_000),
    replicationFactor: count('replication', 100),
  };
}

function registryUrlOf(text: string | undefined, invalid: (reason: string) => AppError): string {
  if (text === undefined) throw invalid('registry=URL is missing');
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || !['http:', 'https:'].includes(url.protocol)) throw invalid('registry is not an http(s) URL');
  if (url.username !== '' || url.password !== '') {
    throw invalid('user name and password belong into SCHEMA_REGISTRY_USERNAME and _PASSWORD');
  }
  if (url.search !== '' || url.hash !== '') throw invalid('registry has a ? or # in it');
  return url.href.replace(/\/+$/, '');
}

function invalidDestination(text: string, reason: string): AppError {
  return new AppError('SIGHTLINE_RESULTS_DESTINATION_INVALID', `--results ${JSON.stringify(text)}: ${reason}`);
}
