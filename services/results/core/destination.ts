import { AppError } from '#shared/core/errors';
import { isKafkaUrl, parseKafkaUrl } from '#shared/core/kafka-url';

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
  if (isKafkaUrl(text)) return parseKafkaDestination(text);
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

function parseKafkaDestination(text: string): KafkaDestination {
  const { brokers, registryUrl, prefix, partitions, replicationFactor } = parseKafkaUrl(text);
  if (registryUrl === undefined) {
    throw new AppError('SIGHTLINE_KAFKA_URL_INVALID', 'the schema registry is missing: add ?registry=http://HOST:PORT');
  }
  return {
    kind: 'kafka',
    brokers,
    registryUrl,
    detectionsTopic: `${prefix}.detections`,
    statusTopic: `${prefix}.camera-status`,
    partitions,
    replicationFactor,
  };
}

function invalidDestination(text: string, reason: string): AppError {
  return new AppError('SIGHTLINE_RESULTS_DESTINATION_INVALID', `--results ${JSON.stringify(text)}: ${reason}`);
}
