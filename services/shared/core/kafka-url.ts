import { AppError } from './errors.ts';

/** Where result topics are, as a command line says it. */
export interface KafkaUrl {
  /** `host:port` of a few brokers. */
  readonly brokers: readonly string[];
  /** Of the schema registry; undefined where the text names none. */
  readonly registryUrl?: string;
  /** What the names of the topics begin with. */
  readonly prefix: string;
  /** Of a topic that has to be created. */
  readonly partitions: number;
  readonly replicationFactor: number;
}

const form = 'kafka://BROKER[,BROKER]/?registry=http://HOST:PORT&prefix=sightline';
const known = new Set(['registry', 'prefix', 'partitions', 'replication']);

export function isKafkaUrl(text: string): boolean {
  return text.startsWith('kafka:');
}

/**
 * Reads `kafka://BROKER[,BROKER]/?registry=http://HOST:PORT&prefix=sightline`; a broker without a port is at 9092. By hand, since the
 * URL class knows one host only. Throws SIGHTLINE_KAFKA_URL_INVALID; the text itself is not repeated where it may hold a password.
 */
export function parseKafkaUrl(text: string): KafkaUrl {
  const [, hosts, query] = /^kafka:\/\/([^/?#]*)\/?(?:\?([^#]*))?$/.exec(text) ?? [];
  if (hosts === undefined) throw invalid('it has another form');
  if (hosts.includes('@')) throw invalid('user and password belong into KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD');
  const brokers = hosts.split(',').map(parseBroker);
  const parameters = new URLSearchParams(query ?? '');
  for (const name of parameters.keys()) {
    if (!known.has(name)) throw invalid(`there is no parameter ${JSON.stringify(name)}`);
    if (parameters.getAll(name).length > 1) throw invalid(`${name} is there twice`);
  }
  const prefix = parameters.get('prefix') ?? 'sightline';
  if (!/^[\w.-]{1,200}$/.test(prefix)) throw invalid('prefix is not what a topic may be called');
  if (/^\.*$/.test(prefix)) throw invalid('prefix is not what a topic may be called');
  const [partitions, replicationFactor] = [countOf(parameters, 'partitions', 6), countOf(parameters, 'replication', 1)];
  const registryUrl = registryUrlOf(parameters.get('registry'));
  return { brokers, prefix, partitions, replicationFactor, ...(registryUrl === undefined ? {} : { registryUrl }) };
}

function countOf(parameters: URLSearchParams, name: string, otherwise: number): number {
  const text = parameters.get(name);
  if (text === null) return otherwise;
  const count = /^\d{1,4}$/.test(text) ? Number(text) : 0;
  if (count === 0) throw invalid(`${name} is not a number from 1 to 9999`);
  return count;
}

function registryUrlOf(text: string | null): string | undefined {
  if (text === null) return undefined;
  const url = URL.parse(text);
  if (url === null || (url.protocol !== 'http:' && url.protocol !== 'https:')) {
    throw invalid('registry is not an http:// or https:// URL');
  }
  if (url.username !== '' || url.password !== '') {
    throw invalid('the user of the registry belongs into SCHEMA_REGISTRY_USERNAME and SCHEMA_REGISTRY_PASSWORD');
  }
  if (url.search !== '' || url.hash !== '') throw invalid('registry has a ? or # in it');
  return text.replace(/\/+$/, '');
}

function parseBroker(text: string): string {
  const [, host, port = '9092'] = /^(\[[\da-fA-F:.]+\]|[^:[\]\s]+)(?::(\d{1,5}))?$/.exec(text) ?? [];
  if (host === undefined || Number(port) > 65_535 || Number(port) === 0) {
    throw invalid(text === '' ? 'a broker is missing' : `${JSON.stringify(text)} is not a broker`);
  }
  return `${host}:${port}`;
}

function invalid(reason: string): AppError {
  return new AppError('SIGHTLINE_KAFKA_URL_INVALID', `${reason}; wanted ${form}`);
}
