import { AppError } from '#shared/core/errors';
import { cameraError } from '../../core/camera-failure.ts';
import { parseCameraUrl, wireUrl, type CameraAddress } from '../../core/camera-url.ts';
import { connectCamera, resolveAllowed, type ConnectOptions } from './camera-socket.ts';
import { Authenticator } from './http-auth.ts';
import type { AuthScheme, CameraTransport } from './relay-types.ts';
import { RtspConnection, type RtspResponse } from './rtsp-connection.ts';
import { headerOf } from './rtsp-message.ts';
import { findVideoTrack, type VideoTrack } from './sdp.ts';

export interface SessionOptions extends ConnectOptions {
  readonly requestTimeoutMs: number;
}

/** What SETUP agreed on. */
export interface AgreedTransport {
  readonly rtpChannel: number;
  readonly rtcpChannel: number;
  readonly serverPorts: readonly [rtp: number, rtcp: number] | null;
}

const maxRedirects = 3;
const maxChallenges = 3;
const defaultSessionTimeoutS = 60;

/** The conversation with one camera: described, then set up, playing, kept alive, torn down. */
export class RtspSession {
  readonly connection: RtspConnection;
  readonly remoteAddress: string;
  readonly redirects: number;
  readonly track: VideoTrack;
  readonly serverName: string | null;
  readonly #authenticator: Authenticator;
  readonly #options: SessionOptions;
  readonly #keepAliveMethod: 'GET_PARAMETER' | 'OPTIONS';
  #sessionId: string | null = null;
  #sessionTimeoutMs = defaultSessionTimeoutS * 1000;
  #keepAliveTimer: NodeJS.Timeout | undefined;
  #isOver = false;

  constructor(parts: {
    readonly connection: RtspConnection;
    readonly remoteAddress: string;
    readonly redirects: number;
    readonly track: VideoTrack;
    readonly serverName: string | null;
    readonly authenticator: Authenticator;
    readonly options: SessionOptions;
    readonly hasGetParameter: boolean;
  }) {
    this.connection = parts.connection;
    this.remoteAddress = parts.remoteAddress;
    this.redirects = parts.redirects;
    this.track = parts.track;
    this.serverName = parts.serverName;
    this.#authenticator = parts.authenticator;
    this.#options = parts.options;
    this.#keepAliveMethod = parts.hasGetParameter ? 'GET_PARAMETER' : 'OPTIONS';
  }

  get authScheme(): AuthScheme {
    return this.#authenticator.scheme;
  }

  async setUp(transport: CameraTransport, clientPorts: readonly [number, number] | null): Promise<AgreedTransport> {
    const startedMs = this.#options.clock.monotonicMs();
    const wanted =
      transport === 'udp' && clientPorts !== null
        ? `RTP/AVP;unicast;client_port=${clientPorts.join('-')}`
        : 'RTP/AVP/TCP;unicast;interleaved=0-1';
    const { message } = await this.#ask('SETUP', this.track.controlUrl, { Transport: wanted });
    const session = /^([\x21-\x3a\x3c-\x7e]{1,512})(?:.*;\s*timeout\s*=\s*(\d{1,6}))?/.exec(
      headerOf(message, 'session') ?? '',
    );
    this.#sessionId = session?.[1] ?? null;
    const timeoutS = Number(session?.[2] ?? defaultSessionTimeoutS);
    // A timeout of nothing or of days is a slip of the camera's; keeping alive every few seconds costs neither side anything.
    this.#sessionTimeoutMs = Math.min(Math.max(timeoutS, 4), 120) * 1000;
    const agreed = parseTransport(headerOf(message, 'transport') ?? '', transport);
    const detail = `${this.track.codec} over ${transport}`;
    this.#options.onStep({ step: 'setup', durationMs: this.#options.clock.monotonicMs() - startedMs, detail });
    return agreed;
  }

  /** Video flows from here on; keeps the session alive until `tearDown`. */
  async play(): Promise<void> {
    await this.#ask('PLAY', this.track.aggregateUrl, { Range: 'npt=0.000-' });
    this.#scheduleKeepAlive();
  }

  /** Tells the camera that we leave. It may refuse further viewers for a minute otherwise. */
  tearDown(): void {
    this.#isOver = true;
    clearTimeout(this.#keepAliveTimer);
    if (this.#sessionId === null) {
      this.connection.destroy();
      return;
    }
    const url = this.track.aggregateUrl;
    const auth = this.#authenticator.headersFor('TEARDOWN', url);
    this.connection.sendLast('TEARDOWN', url, { ...auth, Session: this.#sessionId });
  }

  async #ask(method: string, url: string, headers: Readonly<Record<string, string>>): Promise<RtspResponse> {
    const session: Record<string, string> = this.#sessionId === null ? {} : { Session: this.#sessionId };
    const all = { ...session, ...headers };
    const response = await askCamera(this.connection, this.#authenticator, this.#options, method, url, all);
    if (isRedirect(response.status)) {
      throw cameraError(
        'SIGHTLINE_CAMERA_PROTOCOL',
        `the camera redirects ${method}, after it had described the stream`,
      );
    }
    return response;
  }

  #scheduleKeepAlive(): void {
    if (this.#isOver) return;
    this.#keepAliveTimer = setTimeout(() => {
      // Whether the camera likes the request does not matter, only that it heard from us; a dead connection shows by itself.
      this.#ask(this.#keepAliveMethod, this.track.aggregateUrl, {})
        .catch(() => undefined)
        .finally(() => this.#scheduleKeepAlive());
    }, this.#sessionTimeoutMs / 2);
    this.#keepAliveTimer.unref();
  }
}

/** Connects, follows redirects, answers challenges and reads the description of the stream. */
export async function openRtspSession(camera: CameraAddress, options: SessionOptions): Promise<RtspSession> {
  let target = camera;
  for (let redirects = 0; ; redirects++) {
    const outcome = await describe(target, camera, redirects, options);
    if (outcome instanceof RtspSession) return outcome;
    if (redirects === maxRedirects) {
      throw cameraError('SIGHTLINE_CAMERA_PROTOCOL', `the camera redirects more than ${maxRedirects} times`);
    }
    target = redirectTarget(outcome.location, target);
  }
}

async function describe(
  target: CameraAddress,
  original: CameraAddress,
  redirects: number,
  options: SessionOptions,
): Promise<RtspSession | { readonly location: string }> {
  const addresses = await resolveAllowed(target.host, options);
  const tlsHost = target.scheme === 'rtsps' ? target.host : null;
  const { socket, remoteAddress } = await connectCamera(addresses, target.port, tlsHost, options);
  const connection = new RtspConnection(socket, `the camera at ${target.host} port ${target.port}`);
  try {
    const startedMs = options.clock.monotonicMs();
    const url = wireUrl(target);
    const authenticator = new Authenticator(target.credentials, target.host === original.host);
    // Not asked with credentials: its answer is only a hint, and cameras that guard OPTIONS answer the next request just as well.
    const greeting = await connection.request('OPTIONS', url, {}, options.requestTimeoutMs, options.signal);
    const response = await askCamera(connection, authenticator, options, 'DESCRIBE', url, {
      Accept: 'application/sdp',
    });
    if (isRedirect(response.status)) {
      const location = headerOf(response.message, 'location');
      connection.destroy();
      if (location === undefined) throw cameraError('SIGHTLINE_CAMERA_PROTOCOL', 'the camera redirects to nowhere');
      return { location };
    }
    const baseUrl = contentBase(response) ?? url;
    const track = findVideoTrack(response.message.body, baseUrl);
    const durationMs = options.clock.monotonicMs() - startedMs;
    options.onStep({ step: 'auth', durationMs, detail: authenticator.scheme });
    options.onStep({ step: 'describe', durationMs, detail: track.codec });
    const methods = headerOf(greeting.message, 'public') ?? '';
    const server = headerOf(response.message, 'server') ?? headerOf(greeting.message, 'server');
    return new RtspSession({
      connection,
      remoteAddress,
      redirects,
      track,
      serverName: server?.replace(/[^\x20-\x7e]/g, '').slice(0, 80) ?? null,
      authenticator,
      options,
      hasGetParameter: /\bGET_PARAMETER\b/i.test(methods),
    });
  } catch (error) {
    connection.destroy();
    throw error;
  }
}

/** One request with authentication; only 2xx and redirects come back. */
async function askCamera(
  connection: RtspConnection,
  authenticator: Authenticator,
  options: SessionOptions,
  method: string,
  url: string,
  headers: Readonly<Record<string, string>>,
): Promise<RtspResponse> {
  for (let challenges = 0; ; challenges++) {
    const auth = authenticator.headersFor(method, url);
    const response = await connection.request(
      method,
      url,
      { ...auth, ...headers },
      options.requestTimeoutMs,
      options.signal,
    );
    if (response.status !== 401) {
      if ((response.status >= 200 && response.status < 300) || isRedirect(response.status)) return response;
      throw statusError(method, response.status);
    }
    const outcome = authenticator.takeChallenge(response.message.headers.get('www-authenticate') ?? []);
    if (outcome !== 'answer' || challenges === maxChallenges - 1) throw authError(outcome);
  }
}

function authError(outcome: 'answer' | 'no-credentials' | 'unsupported' | 'wrong-credentials'): AppError {
  switch (outcome) {
    case 'no-credentials':
      return cameraError('SIGHTLINE_CAMERA_AUTH', 'the camera asks for a user name and a password, and none was given');
    case 'unsupported':
      return cameraError(
        'SIGHTLINE_CAMERA_AUTH',
        'the camera (or the one it redirects to) asks for a kind of authentication that is not used here',
        {
          action: 'Switch the camera to Digest authentication (MD5 or SHA-256), or name the final address in the URL.',
        },
      );
    case 'answer':
    case 'wrong-credentials':
      return cameraError('SIGHTLINE_CAMERA_AUTH', 'the camera refused the user name or the password');
  }
}

function statusError(method: string, status: number): AppError {
  const said = `the camera answered ${method} with status ${status}`;
  switch (status) {
    case 403:
      return cameraError('SIGHTLINE_CAMERA_AUTH', `${said}: this user may not view the stream`);
    case 404:
    case 410:
      return cameraError('SIGHTLINE_CAMERA_NOT_FOUND', `${said}: it has no stream at this path`);
    case 415:
      return cameraError('SIGHTLINE_CAMERA_CODEC_UNSUPPORTED', `${said}: it cannot describe the stream`);
    case 453:
    case 503:
      return cameraError('SIGHTLINE_CAMERA_REFUSED', `${said}: it is busy`, {
        action: 'The camera serves as many viewers as it can; close others or use a restreamer.',
      });
    case 461:
      return cameraError('SIGHTLINE_CAMERA_PROTOCOL', `${said}: it does not offer this transport`, {
        action: 'Try the other transport (tcp or udp).',
      });
    default:
      return cameraError('SIGHTLINE_CAMERA_PROTOCOL', said);
  }
}

function isRedirect(status: number): boolean {
  return status === 301 || status === 302 || status === 303 || status === 307 || status === 308;
}

/** Where a redirect goes, as an address that passes all the checks again. */
function redirectTarget(location: string, from: CameraAddress): CameraAddress {
  let target: CameraAddress;
  try {
    target = parseCameraUrl(new URL(location, wireUrl(from)).href);
  } catch (error) {
    throw cameraError('SIGHTLINE_CAMERA_NOT_ALLOWED', 'the camera redirects to something that is no camera URL', {
      cause: error instanceof AppError ? error : undefined,
    });
  }
  if (from.scheme === 'rtsps' && target.scheme === 'rtsp') {
    throw cameraError('SIGHTLINE_CAMERA_NOT_ALLOWED', 'the camera redirects from an encrypted to a plain connection');
  }
  return { ...target, credentials: target.credentials ?? from.credentials };
}

function contentBase(response: RtspResponse): string | undefined {
  const base = headerOf(response.message, 'content-base') ?? headerOf(response.message, 'content-location');
  // A blank or control character would break our request lines; a relative one says nothing that we do not know.
  return base !== undefined && /^rtsps?:\/\/[\x21-\x7e]{1,2048}$/i.test(base) ? base : undefined;
}

function parseTransport(header: string, transport: CameraTransport): AgreedTransport {
  const interleaved = /interleaved\s*=\s*(\d{1,3})(?:-(\d{1,3}))?/i.exec(header);
  const serverPort = /server_port\s*=\s*(\d{1,5})(?:-(\d{1,5}))?/i.exec(header);
  if (transport === 'tcp') {
    if (/client_port|server_port/i.test(header) && interleaved === null) {
      throw cameraError('SIGHTLINE_CAMERA_PROTOCOL', 'the camera insists on UDP', { action: 'Use the transport udp.' });
    }
    const rtpChannel = Number(interleaved?.[1] ?? 0);
    return { rtpChannel, rtcpChannel: Number(interleaved?.[2] ?? rtpChannel + 1), serverPorts: null };
  }
  if (interleaved !== null) {
    throw cameraError('SIGHTLINE_CAMERA_PROTOCOL', 'the camera insists on TCP', { action: 'Use the transport tcp.' });
  }
  if (serverPort === null) return { rtpChannel: 0, rtcpChannel: 1, serverPorts: null };
  const rtp = Number(serverPort[1]);
  return { rtpChannel: 0, rtcpChannel: 1, serverPorts: [rtp, Number(serverPort[2] ?? rtp + 1)] };
}
