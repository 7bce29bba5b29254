import { createHash } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { mkdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { AppError } from '#shared/core/errors';

export interface DownloadOptions {
  readonly url: string;
  readonly target: string;
  readonly sha256: string;
  readonly sizeBytes: number;
  /** Default 3 s: who has no way out shall hear of it at once. */
  readonly connectTimeoutMs?: number;
  /** Without a byte for so long the download ends. Default 20 s. */
  readonly idleTimeoutMs?: number;
  readonly onProgress?: (receivedBytes: number) => void;
}

/**
 * Fetches a file whose size and sha256 are known. What arrived before an interruption stays in TARGET.part and is gone on with; a file of
 * another content is thrown away. Nothing is ever at TARGET that was not checked.
 */
export async function download(options: DownloadOptions): Promise<void> {
  const { target, sha256, sizeBytes } = options;
  const part = `${target}.part`;
  await mkdir(dirname(target), { recursive: true });
  const before = await sizeOf(part);
  if (before > sizeBytes) await rm(part);
  if (before !== sizeBytes) await fetchRest(options, part, before > sizeBytes ? 0 : before);
  const digest = createHash('sha256')
    .update(await readFile(part))
    .digest('hex');
  if (digest !== sha256) {
    await rm(part);
    throw new AppError(
      'SIGHTLINE_MODEL_DIGEST_MISMATCH',
      `${shownUrl(options.url)} gave a file with sha256 ${digest}, expected is ${sha256}`,
      { action: 'Something on the way changes files, or the mirror holds another one: take another --mirror.' },
    );
  }
  await rename(part, target);
}

async function fetchRest(options: DownloadOptions, part: string, from: number): Promise<void> {
  const { url, sizeBytes, connectTimeoutMs = 3000, idleTimeoutMs = 20_000, onProgress } = options;
  const stop = new AbortController();
  let timer = setTimeout(() => stop.abort(), connectTimeoutMs);
  try {
    const response = await fetch(url, {
      signal: stop.signal,
      headers: from === 0 ? {} : { range: `bytes=${from}-` },
    });
    if (!response.ok || response.body === null) throw failed(url, `the server answered ${response.status}`);
    const isResumed = from > 0 && response.status === 206;
    let received = isResumed ? from : 0;
    const { body } = response;
    async function* counted(): AsyncGenerator<Uint8Array> {
      // A fetch body is a web stream; Node's type of it and the global one differ in name only.
      for await (const chunk of Readable.fromWeb(body)) {
        clearTimeout(timer);
        timer = setTimeout(() => stop.abort(), idleTimeoutMs);
        received += (chunk as Uint8Array).length; // a byte stream
        if (received > sizeBytes) throw failed(url, `it is larger than the ${sizeBytes} bytes that are expected`);
        onProgress?.(received);
        yield chunk as Uint8Array;
      }
    }
    await pipeline(counted, createWriteStream(part, { flags: isResumed ? 'a' : 'w' }), { signal: stop.signal });
    if (received < sizeBytes)
      throw failed(url, `it ended after ${received} of ${sizeBytes} bytes; run the command again to go on`);
  } catch (error) {
    if (error instanceof AppError) throw error;
    throw failed(url, stop.signal.aborted ? 'nothing came in time' : reasonOf(error), error);
  } finally {
    clearTimeout(timer);
  }
}

function failed(url: string, reason: string, cause?: unknown): AppError {
  return new AppError('SIGHTLINE_DOWNLOAD_FAILED', `${shownUrl(url)} could not be fetched: ${reason}`, {
    retryable: true,
    ...(cause === undefined ? {} : { cause }),
    action: `Without a way to the internet: fetch ${basename(new URL(url).pathname)} elsewhere and give it with --from FILE, or name a mirror with --mirror or SIGHTLINE_MODEL_MIRROR.`,
  });
}

/** A mirror's address may hold a password. */
function shownUrl(url: string): string {
  const { protocol, host, pathname } = new URL(url);
  return `${protocol}//${host}${pathname}`;
}

function reasonOf(error: unknown): string {
  const cause = error instanceof Error ? error.cause : undefined;
  if (cause instanceof Error) return 'code' in cause ? String(cause.code) : cause.message;
  return error instanceof Error ? error.message : String(error);
}

async function sizeOf(file: string): Promise<number> {
  return stat(file).then(
    ({ size }) => size,
    () => 0,
  );
}
