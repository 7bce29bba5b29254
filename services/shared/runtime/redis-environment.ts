import type { RedisAddress, RedisSettings } from '#shared/store/redis/redis-settings';
import { invalidVariable, readEnvironment } from './environment-variables.ts';

const names = [
  ...[
    'REDIS_URL',
    'REDIS_SENTINELS',
    'REDIS_SENTINEL_MASTER',
    'REDIS_SENTINEL_PASSWORD',
    'REDIS_SENTINEL_PASSWORD_FILE',
  ],
  ...['REDIS_USERNAME', 'REDIS_PASSWORD', 'REDIS_PASSWORD_FILE'],
  ...['REDIS_TLS', 'REDIS_TLS_CA', 'REDIS_TLS_CERT', 'REDIS_TLS_KEY', 'REDIS_TLS_SERVER_NAME'],
];

/**
 * Reads REDIS_*; undefined where no Redis is named. Sentinels go before the address of a server.
 * Throws SIGHTLINE_CONFIG_INVALID naming the variable, never its value.
 */
export function readRedisEnvironment(
  environment: Readonly<Record<string, string | undefined>>,
): RedisSettings | undefined {
  const { text, content, secret, yesOrNo } = readEnvironment(environment, /^REDIS_(TLS|PASSWORD|SENTINEL)/, names);

  const [urlText, sentinelsText] = [text('REDIS_URL'), text('REDIS_SENTINELS')];
  if (urlText === undefined && sentinelsText === undefined) return undefined;
  const url = urlText === undefined ? undefined : parseUrl(urlText);
  const [ca, cert, key] = [content('REDIS_TLS_CA'), content('REDIS_TLS_CERT'), content('REDIS_TLS_KEY')];
  if ((cert === undefined) !== (key === undefined))
    throw invalidVariable('REDIS_TLS_CERT', 'and REDIS_TLS_KEY go together');
  const serverName = text('REDIS_TLS_SERVER_NAME');
  const wanted = yesOrNo('REDIS_TLS');
  const usesTls = wanted ?? (url?.isTls === true || (ca ?? cert ?? serverName) !== undefined);
  if (!usesTls && (url?.isTls === true || (ca ?? cert ?? serverName) !== undefined)) {
    throw invalidVariable('REDIS_TLS', 'is off while another setting asks for TLS');
  }
  const username = text('REDIS_USERNAME') ?? url?.username;
  const password = secret('REDIS_PASSWORD') ?? url?.password;
  if (username !== undefined && password === undefined)
    throw invalidVariable('REDIS_PASSWORD', 'is missing beside a user name');
  const common = {
    database: url?.database ?? 0,
    ...(username === undefined ? {} : { username }),
    ...(password === undefined ? {} : { password }),
    ...(usesTls
      ? {
          tls: {
            ...(ca === undefined ? {} : { ca }),
            ...(cert === undefined ? {} : { cert }),
            ...(key === undefined ? {} : { key }),
            ...(serverName === undefined ? {} : { serverName }),
          },
        }
      : {}),
  };
  if (sentinelsText === undefined) return { ...common, ...(url === undefined ? {} : { server: url.address }) };
  const master = text('REDIS_SENTINEL_MASTER');
  if (master === undefined) throw invalidVariable('REDIS_SENTINEL_MASTER', 'is missing beside REDIS_SENTINELS');
  const sentinelPassword = secret('REDIS_SENTINEL_PASSWORD');
  const addresses = sentinelsText.split(',').map((one) => parseAddress(one.trim()));
  return {
    ...common,
    sentinels: { addresses, master, ...(sentinelPassword === undefined ? {} : { password: sentinelPassword }) },
  };
}

function parseAddress(text: string): RedisAddress {
  const match = /^(?<host>\[[\da-f:]+\]|[\w.-]+)(?::(?<port>\d{1,5}))?$/i.exec(text)?.groups;
  if (match?.['host'] === undefined) throw invalidVariable('REDIS_SENTINELS', 'must be HOST:PORT, with commas between');
  return { host: match['host'].replace(/^\[|\]$/g, ''), port: Number(match['port'] ?? 26_379) };
}

interface RedisUrl {
  readonly address: RedisAddress;
  readonly isTls: boolean;
  readonly database: number;
  readonly username?: string;
  readonly password?: string;
}

function parseUrl(text: string): RedisUrl {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const database = /^\/?(\d{0,4})$/.exec(url?.pathname ?? '')?.[1];
  if (
    url === undefined ||
    !['redis:', 'rediss:'].includes(url.protocol) ||
    url.hostname === '' ||
    database === undefined
  ) {
    throw invalidVariable(
      'REDIS_URL',
      'must be redis://HOST:PORT or rediss://HOST:PORT, with /NUMBER for another database',
    );
  }
  try {
    return {
      address: { host: url.hostname.replace(/^\[|\]$/g, ''), port: url.port === '' ? 6_379 : Number(url.port) },
      isTls: url.protocol === 'rediss:',
      database: Number(database),
      ...(url.username === '' ? {} : { username: decodeURIComponent(url.username) }),
      ...(url.password === '' ? {} : { password: decodeURIComponent(url.password) }),
    };
  } catch (error) {
    throw invalidVariable('REDIS_URL', 'holds a % that begins no percent-encoded character', error);
  }
}
