import { AppError } from '#shared/core/errors';

/** Where result topics are, as a command line says it. */
export interface KafkaUrl {
  /** `host:port` of a few brokers. */
  readonly brokers: readonly string[];
  /** Of the schema registry; undefined where the text names none. */
  readonly registryUrl?: string;
  /** What the names of the topics begin with. */
  readonly prefix: string;
}

const form = 'kafka://BROKER[,BROKER]/?registry=http://HOST:PORT&prefix=sightline';
const known = new Set(['registry', 'prefix']);

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
  if (hosts.includes('@')) throw invalid('user and password do not belong into it');
  const brokers = hosts.split(',').map(parseBroker);
  const parameters = new URLSearchParams(query ?? '');
  for (const name of parameters.keys()) {
    if (!known.has(name)) throw invalid(`there is no parameter ${JSON.stringify(name)}`);
    if (parameters.getAll(name).length > 1) throw invalid(`${name} is there twice`);
  }
  const prefix = parameters.get('prefix') ?? 'sightline';
  if (!/^[\w.-]{1,200}$/.test(prefix)) throw invalid('prefix is not what a topic may be called');
  const registry = parameters.get('registry');
  if (registry === null) return { brokers, prefix };
  const url = URL.parse(registry);
  if (url === null || (url.protocol !== 'http:' && url.protocol !== 'https:')) {
    throw invalid('registry is not an http:// or https:// URL');
  }
  return { brokers, prefix, registryUrl: registry };
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
