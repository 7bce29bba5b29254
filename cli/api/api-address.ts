import { readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { AppError } from '#shared/core/errors';
import { defaultStateDirectory } from '../model-directories.ts';

/** Where the API is and who asks, as flags of a command. */
export interface ApiFlags {
  readonly url?: string;
  readonly tokenFile?: string;
}

export interface ApiAddress {
  /** Without a slash at its end. */
  readonly url: string;
  /** Absent where none was given and none was found. */
  readonly token?: string;
}

type Environment = Readonly<Record<string, string | undefined>>;

export const defaultApiUrl = 'http://127.0.0.1:8080';
/** Where a run leaves the token of whoever started it; read by its owner only. */
const localTokenFile = 'local-token';
const loopbackHosts: ReadonlySet<string> = new Set(['127.0.0.1', '[::1]', 'localhost']);

/**
 * The address from the flag, the environment or the default; the token from --token-file, SIGHTLINE_TOKEN, SIGHTLINE_TOKEN_FILE, or, for an
 * API on this machine, the one that a run left in the state folder. Throws SIGHTLINE_USAGE.
 */
export async function findApi(flags: ApiFlags, environment: Environment): Promise<ApiAddress> {
  const url = parseApiUrl(flags.url ?? environment['SIGHTLINE_API'] ?? defaultApiUrl);
  const file =
    flags.tokenFile ?? (environment['SIGHTLINE_TOKEN'] === undefined ? environment['SIGHTLINE_TOKEN_FILE'] : undefined);
  const token =
    file === undefined
      ? (environment['SIGHTLINE_TOKEN'] ?? (await localToken(url, environment)))
      : await readTokenFile(file);
  const address = `${url.origin}${url.pathname.replace(/\/+$/, '')}`;
  return token === undefined ? { url: address } : { url: address, token };
}

function parseApiUrl(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || !/^https?:$/.test(url.protocol)) {
    throw new AppError('SIGHTLINE_USAGE', `the address of the API is a URL such as ${defaultApiUrl}`);
  }
  if (url.username !== '' || url.password !== '') {
    throw new AppError('SIGHTLINE_USAGE', 'the API takes a token and no user name or password', {
      action: 'Leave them out of --url, and give the token with SIGHTLINE_TOKEN or --token-file.',
    });
  }
  return url;
}

async function readTokenFile(file: string): Promise<string> {
  try {
    return (await readFile(file, 'utf8')).trim();
  } catch (error) {
    throw new AppError('SIGHTLINE_USAGE', `the token cannot be read from ${file}`, {
      cause: error,
      action: 'Name a file that you may read and that holds the token alone.',
    });
  }
}

/** Sent to this machine only: whoever answers elsewhere is not to get it. */
async function localToken(url: URL, environment: Environment): Promise<string | undefined> {
  if (!loopbackHosts.has(url.hostname)) return undefined;
  const stateDir = resolve(environment['SIGHTLINE_STATE_DIR'] ?? defaultStateDirectory(environment));
  return readFile(join(stateDir, localTokenFile), 'utf8').then(
    (text) => text.trim(),
    () => undefined,
  );
}
