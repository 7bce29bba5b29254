import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { AppError } from '#shared/core/errors';
import { cameraError, reasonOf } from '../../core/camera-failure.ts';
import type { CameraAddress } from '../../core/camera-url.ts';
import { createArrivalClock, type CaptureClock } from '../../core/capture-clock.ts';
import { isPlaylist, rewritePlaylist } from './hls-playlist.ts';
import { HttpUpstream } from './http-upstream.ts';
import { relayDefaults } from './relay-defaults.ts';
import type { CameraFacts, CameraRelay, RelayContext, RelayEnd, RelayOptions, RelayStats } from './relay-types.ts';

const loopback = '127.0.0.1';
const maxPlaylistBytes = 1024 * 1024;
/** A decoder that reads a single stream opens it again at once or not at all; one that reads HLS comes back for the next segment. */
const streamIdleMs = 1_000;

/** Serves an http(s) camera (MJPEG, HLS) under a path with a random token, so that the decoder sees neither camera nor password. */
export async function openHttpRelay(
  camera: CameraAddress,
  options: RelayOptions,
  context: RelayContext,
): Promise<CameraRelay> {
  const abort = new AbortController();
  const signal = context.signal === undefined ? abort.signal : AbortSignal.any([context.signal, abort.signal]);
  const startedMs = context.clock.monotonicMs();
  const upstream = new HttpUpstream(camera, {
    policy: options.policy ?? {},
    timeoutMs: options.connectTimeoutMs ?? relayDefaults.connectTimeoutMs,
    requestTimeoutMs: options.requestTimeoutMs ?? relayDefaults.requestTimeoutMs,
    tlsInsecure: options.tlsInsecure ?? false,
    tlsCa: options.tlsCa,
    clock: context.clock,
    signal,
    onStep: options.onStep ?? (() => {}),
  });
  try {
    // Asked before anybody decodes, so that what is wrong has its reason; the answer is kept for the decoder's first request.
    let path = camera.path;
    let answer = await upstream.get(path, undefined);
    while (answer.kind === 'moved') {
      path = answer.path;
      answer = await upstream.get(path, undefined);
    }
    const durationMs = context.clock.monotonicMs() - startedMs;
    options.onStep?.({ step: 'tcp', durationMs, detail: `${upstream.remoteAddress} port ${camera.port}` });
    options.onStep?.({ step: 'auth', durationMs, detail: upstream.authScheme });
    const contentType = answer.response.headers['content-type'] ?? 'no content type';
    options.onStep?.({ step: 'describe', durationMs, detail: contentType.slice(0, 60) });
    const server = createServer({ keepAliveTimeout: 1000 });
    server.listen(0, loopback);
    await once(server, 'listening');
    return new HttpRelay(server, upstream, { path, response: answer.response }, options, context, abort);
  } catch (error) {
    abort.abort();
    upstream.close();
    throw error;
  }
}

interface FirstAnswer {
  readonly path: string;
  readonly response: IncomingMessage;
}

class HttpRelay implements CameraRelay {
  readonly localUrl: string;
  readonly facts: CameraFacts;
  readonly captureClock: CaptureClock = createArrivalClock();
  readonly closed: Promise<RelayEnd>;
  readonly #server: Server;
  readonly #upstream: HttpUpstream;
  readonly #abort: AbortController;
  readonly #prefix = `/${randomBytes(16).toString('hex')}`;
  readonly #isHls: boolean;
  readonly #idleMs: number;
  readonly #signal: AbortSignal | undefined;
  #first: FirstAnswer | null;
  #bytes = 0;
  #bytesAtLastCheck = 0;
  #active = 0;
  #hasEndedByCamera = false;
  #idleTimer: NodeJS.Timeout;
  readonly #silenceTimer: NodeJS.Timeout;
  #end: RelayEnd | null = null;
  #resolveClosed: (end: RelayEnd) => void = () => {};
  readonly #onAbort = (): void => void this.close();

  constructor(
    server: Server,
    upstream: HttpUpstream,
    first: FirstAnswer,
    options: RelayOptions,
    context: RelayContext,
    abort: AbortController,
  ) {
    this.#server = server;
    this.#upstream = upstream;
    this.#first = first;
    this.#abort = abort;
    this.#signal = context.signal;
    this.closed = new Promise((resolve) => {
      this.#resolveClosed = resolve;
    });
    const consumerTimeoutMs = options.consumerTimeoutMs ?? relayDefaults.consumerTimeoutMs;
    const silenceMs = options.silenceTimeoutMs ?? relayDefaults.silenceTimeoutMs;
    this.#isHls = isPlaylist(first.response.headers['content-type'], first.path);
    this.#idleMs = this.#isHls ? consumerTimeoutMs : streamIdleMs;
    this.localUrl = `http://${loopback}:${(server.address() as AddressInfo).port}${this.#prefix}${first.path}`;
    this.facts = {
      codec: null,
      declaredFps: null,
      widthPx: null,
      heightPx: null,
      serverName: cleanServerName(first.response.headers['server']),
      transport: 'http',
      isEncrypted: upstream.isEncrypted,
      authScheme: upstream.authScheme,
      remoteAddress: upstream.remoteAddress,
      redirects: upstream.redirects,
    };
    first.response.on('error', () => {});
    server.on('request', (request, response) => void this.#serve(request, response));
    this.#idleTimer = setTimeout(() => this.#onIdle(), consumerTimeoutMs);
    this.#silenceTimer = setInterval(() => this.#checkSilence(silenceMs), silenceMs);
    context.signal?.addEventListener('abort', this.#onAbort, { once: true });
  }

  stats(): RelayStats {
    return {
      bytes: this.#bytes,
      packets: 0,
      packetsLost: 0,
      packetsReordered: 0,
      bytesSkipped: 0,
      packetLossRatio: 0,
      senderReports: 0,
    };
  }

  pictures(): null {
    return null;
  }

  close(): Promise<void> {
    this.#finish({ reason: 'STOPPED', text: 'closed by us', error: null });
    return this.closed.then(() => undefined);
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = request.url ?? '';
    const path = url.slice(this.#prefix.length);
    const isOurs = url.startsWith(this.#prefix) && (path === '' || path.startsWith('/') || path.startsWith('?'));
    if (!isOurs || request.method !== 'GET') {
      response.writeHead(404).end();
      return;
    }
    clearTimeout(this.#idleTimer);
    this.#active += 1;
    try {
      await this.#forward(path, request.headers.range, response);
    } catch (error) {
      const failure =
        error instanceof AppError ? error : cameraError('SIGHTLINE_CAMERA_UNREACHABLE', 'the camera cut the stream');
      // One missing segment is not the end of an HLS stream; a lost password is.
      if (!this.#isHls || failure.code === 'SIGHTLINE_CAMERA_AUTH') this.#fail(failure);
      if (!response.headersSent) response.writeHead(502);
      response.end();
    } finally {
      this.#active -= 1;
      if (this.#active === 0 && this.#end === null) {
        clearTimeout(this.#idleTimer);
        this.#idleTimer = setTimeout(() => this.#onIdle(), this.#idleMs);
      }
    }
  }

  async #forward(path: string, range: string | undefined, response: ServerResponse): Promise<void> {
    const first = this.#first;
    this.#first = null;
    const answer =
      first?.path === path && range === undefined
        ? ({ kind: 'body', response: first.response } as const)
        : await this.#upstream.get(path, range);
    if (first !== null && answer.kind === 'body' && answer.response !== first.response) first.response.destroy();
    if (answer.kind === 'moved') {
      response.writeHead(302, { Location: `${this.#prefix}${answer.path}` }).end();
      return;
    }
    const headers: Record<string, string> = {};
    for (const name of ['content-type', 'content-length', 'content-range', 'accept-ranges']) {
      const value = answer.response.headers[name];
      if (typeof value === 'string') headers[name] = value;
    }
    if (isPlaylist(answer.response.headers['content-type'], path)) {
      const playlist = rewritePlaylist(await this.#readPlaylist(answer.response), this.#upstream.origin, this.#prefix);
      headers['content-length'] = String(Buffer.byteLength(playlist));
      response.writeHead(200, headers).end(playlist);
      return;
    }
    response.writeHead(answer.response.statusCode ?? 200, headers);
    this.#hasEndedByCamera = false;
    await this.#pump(answer.response, response);
  }

  /** Not stream.pipeline: it would destroy the local side where we want to know which side ended first. */
  async #pump(from: IncomingMessage, to: ServerResponse): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      from.on('data', (chunk: Buffer) => {
        this.#bytes += chunk.length;
        if (!to.write(chunk)) from.pause();
      });
      to.on('drain', () => from.resume());
      to.on('close', () => {
        from.destroy();
        resolve();
      });
      from.on('end', () => {
        this.#hasEndedByCamera = true;
        to.end();
      });
      from.on('error', reject);
    });
  }

  async #readPlaylist(response: IncomingMessage): Promise<string> {
    const chunks: Buffer[] = [];
    let length = 0;
    for await (const chunk of response) {
      // Without setEncoding the chunks of an IncomingMessage are buffers.
      const bytes = chunk as Buffer;
      length += bytes.length;
      if (length > maxPlaylistBytes) throw cameraError('SIGHTLINE_CAMERA_PROTOCOL', 'the playlist is too long');
      chunks.push(bytes);
    }
    this.#bytes += length;
    return Buffer.concat(chunks).toString('utf8');
  }

  #onIdle(): void {
    if (this.#active > 0) return;
    if (this.#hasEndedByCamera && !this.#isHls) {
      this.#finish({ reason: 'END_OF_STREAM', text: 'the camera ended the stream', error: null });
      return;
    }
    this.#finish({ reason: 'STOPPED', text: 'the consumer left', error: null });
  }

  #checkSilence(silenceMs: number): void {
    const isSilent = this.#bytes === this.#bytesAtLastCheck && this.#active > 0;
    this.#bytesAtLastCheck = this.#bytes;
    if (!isSilent) return;
    const text = `the camera sent nothing for ${silenceMs} ms`;
    this.#finish({ reason: 'STALLED', text, error: cameraError('SIGHTLINE_CAMERA_TIMEOUT', text) });
  }

  #fail(error: AppError): void {
    this.#finish({ reason: reasonOf(error), text: error.message, error });
  }

  #finish(end: RelayEnd): void {
    if (this.#end !== null) return;
    this.#end = end;
    clearTimeout(this.#idleTimer);
    clearInterval(this.#silenceTimer);
    this.#signal?.removeEventListener('abort', this.#onAbort);
    this.#abort.abort();
    this.#first?.response.destroy();
    this.#upstream.close();
    this.#server.close(() => this.#resolveClosed(end));
    this.#server.closeAllConnections();
  }
}

function cleanServerName(header: string | string[] | undefined): string | null {
  return typeof header === 'string' ? header.replace(/[^\x20-\x7e]/g, '').slice(0, 80) : null;
}
