import { randomBytes } from 'node:crypto';
import { link, mkdir, readFile, unlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { AppError } from '#shared/core/errors';
import { createSecretBox, secretKeyBytes, type SecretBox } from '#shared/core/secret-box';

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * The box that camera credentials are sealed in. Its key is SIGHTLINE_SECRET_KEY, or what stands in the file SIGHTLINE_SECRET_KEY_FILE names,
 * or, where a state directory is given, a key that is made there once. Throws SIGHTLINE_SECRET_KEY_INVALID, which never tells of the key.
 */
export async function loadSecretBox(environment: Environment, stateDir?: string): Promise<SecretBox> {
  const { SIGHTLINE_SECRET_KEY: text, SIGHTLINE_SECRET_KEY_FILE: file } = environment;
  if (text !== undefined && text !== '') return createSecretBox(parseKey(text, 'SIGHTLINE_SECRET_KEY'));
  if (file !== undefined && file !== '') return createSecretBox(parseKey(await readKey(file), file));
  if (stateDir === undefined) {
    throw new AppError('SIGHTLINE_SECRET_KEY_INVALID', 'there is no key to seal camera credentials with');
  }
  const own = join(stateDir, 'secret.key');
  return createSecretBox(parseKey(await ownKey(stateDir, own), own));
}

/** Hex or base64, as `openssl rand` gives them. */
function parseKey(text: string, from: string): Buffer {
  const trimmed = text.trim();
  const key = /^[0-9a-f]{64}$/i.test(trimmed) ? Buffer.from(trimmed, 'hex') : Buffer.from(trimmed, 'base64');
  if (key.byteLength !== secretKeyBytes || !/^[0-9a-z+/_=-]+$/i.test(trimmed)) {
    throw new AppError(
      'SIGHTLINE_SECRET_KEY_INVALID',
      `${from} does not hold ${secretKeyBytes} bytes in hex or base64`,
    );
  }
  return key;
}

async function readKey(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (cause) {
    throw new AppError('SIGHTLINE_SECRET_KEY_INVALID', `the key file ${file} cannot be read`, { cause });
  }
}

async function ownKey(stateDir: string, path: string): Promise<string> {
  const there = await readFile(path, 'utf8').catch((error: unknown) => {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw new AppError('SIGHTLINE_SECRET_KEY_INVALID', `the key file ${path} cannot be read`, { cause: error });
  });
  if (there !== undefined) return there;
  // Whole or not at all, and of two processes that begin at once both take the one that was first: a link does not replace.
  const fresh = `${path}.${randomBytes(6).toString('hex')}`;
  try {
    await mkdir(stateDir, { recursive: true, mode: 0o700 });
    await writeFile(fresh, `${randomBytes(secretKeyBytes).toString('hex')}\n`, { mode: 0o600, flush: true });
    await link(fresh, path).catch((error: unknown) => {
      if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error;
    });
    await unlink(fresh);
  } catch (cause) {
    throw new AppError('SIGHTLINE_STATE_DIR_UNUSABLE', `a key cannot be kept in ${stateDir}`, { cause });
  }
  return readKey(path);
}
