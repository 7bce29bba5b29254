import { Agent as HttpAgent, request as requestHttp, type IncomingMessage, type RequestOptions } from 'node:http';
import { Agent as HttpsAgent, request as requestHttps } from 'node:https';
import { isIP } from 'node:net';
import { rootCertificates } from 'node:tls';
import { AppError } from '#shared/core/errors';
import { cameraError } from '../../core/camera-failure.ts';
import { parseCameraUrl, wireUrl, type CameraAddress } from '../../core/camera-url.ts';
import { connectionError, resolveAllowed, systemCode, type ConnectOptions } from './camera-socket.ts';
import { within } from './deadline.ts';
import { Authenticator } from './http-auth.ts';
import type { AuthScheme } from './relay-types.ts';

export interface UpstreamOptions extends ConnectOptions {
  readonly requestTimeoutMs: number;
}

/** An answer with a body, or where the camera sends us instead (already made the origin of what follows). */
export type UpstreamAnswer =
  { readonly kind: 'body'; readonly response: IncomingMessage } | { readonly kind: 'moved'; readonly path: string };

const maxRedirects = 3;
const maxChallenges = 3;
const maxSocketsPerCamera = 4;
const maxHeaderBytes = 16 * 1024;

/** Requests to one http(s) camera at its checked address. Redirects change the camera, under the same checks. */
export class HttpUpstream {
  readonly #original: CameraAddress;
  readonly #options: UpstreamOptions;
  #target: CameraAddress;
  #address: string | null = null;
  #authenticator: Authenticator;
  #agent: HttpAgent | HttpsAgent;
  #redirectsInARow = 0;
  #redirects = 0;

  constructor(camera: CameraAddress, options: UpstreamOptions) {
    this.#original = camera;
    this.#target = camera;
    this.#options = options;
    this.#authenticator = new Authenticator(camera.credentials, true);
    this.#agent = this.#makeAgent();
  }

  get remoteAddress(): string {
    return this.#address ?? '';
  }

  get authScheme(): AuthScheme {
    return this.#authenticator.scheme;
  }

  get redirects(): number {
    return this.#redirects;
  }

  get isEncrypted(): boolean {
    return this.#target.scheme === 'https';
  }

  /** Scheme, host and port as a playlist would write them. */
  get origin(): string {
    return wireUrl({ ...this.#target, path: '' });
  }

  async get(path: string, range: string | undefined): Promise<UpstreamAnswer> {
    this.#address ??= await this.#resolve();
    for (let challenges = 0; ; challenges++) {
      const response = await this.#request(path, range);
      const status = response.statusCode ?? 0;
      if (status === 200 || status === 206) {
        this.#redirectsInARow = 0;
        return { kind: 'body', response };
      }
      response.resume();
      if (status === 401) {
        const outcome = this.#authenticator.takeChallenge([response.headers['www-authenticate'] ?? '']);
        if (outcome === 'answer' && challenges < maxChallenges - 1) continue;
        const asked = outcome === 'no-credentials' ? 'asks for a user name and a password, and none was given' : null;
        throw cameraError('SIGHTLINE_CAMERA_AUTH', `the camera ${asked ?? 'refused the user name or the password'}`);
      }
      const location = response.headers.location;
      if (status >= 300 && status < 400 && location !== undefined) return this.#follow(location, path);
      throw statusError(status);
    }
  }

  close(): void {
    this.#agent.destroy();
  }

  async #follow(location: string, path: string): Promise<UpstreamAnswer> {
    this.#redirectsInARow += 1;
    this.#redirects += 1;
    if (this.#redirectsInARow > maxRedirects) {
      throw cameraError('SIGHTLINE_CAMERA_PROTOCOL', `the camera redirects more than ${maxRedirects} times`);
    }
    let next: CameraAddress;
    try {
      const url = new URL(location, wireUrl({ ...this.#target, path }));
      next = parseCameraUrl(url.href, { allowHttp: true });
    } catch (error) {
      throw cameraError('SIGHTLINE_CAMERA_NOT_ALLOWED', 'the camera redirects to something that is no camera URL', {
        cause: error instanceof AppError ? error : undefined,
      });
    }
    if (next.scheme !== 'https' && next.scheme !== this.#target.scheme) {
      throw cameraError(
        'SIGHTLINE_CAMERA_NOT_ALLOWED',
        `the camera redirects from ${this.#target.scheme} to ${next.scheme}`,
      );
    }
    const isSameOrigin = wireUrl({ ...next, path: '' }) === this.origin;
    if (!isSameOrigin) {
      this.#agent.destroy();
      this.#target = { ...next, credentials: next.credentials ?? this.#original.credentials };
      this.#authenticator = new Authenticator(this.#target.credentials, next.host === this.#original.host);
      this.#agent = this.#makeAgent();
      this.#address = await this.#resolve();
    }
    return { kind: 'moved', path: next.path };
  }

  async #resolve(): Promise<string> {
    const addresses = await resolveAllowed(this.#target.host, this.#options);
    // One address is kept for all requests; where a name has both kinds, cameras are sure to listen on IPv4.
    const address = addresses.find((candidate) => isIP(candidate) === 4) ?? addresses[0];
    if (address === undefined) throw cameraError('SIGHTLINE_CAMERA_DNS', 'the camera has no address');
    return address;
  }

  #request(path: string, range: string | undefined): Promise<IncomingMessage> {
    const { host, port, scheme } = this.#target;
    const what = `the camera at ${host} port ${port}`;
    const options: RequestOptions = {
      host: this.#address,
      port,
      path: path === '' ? '/' : path,
      agent: this.#agent,
      maxHeaderSize: maxHeaderBytes,
      signal: this.#options.signal,
      headers: {
        Host: this.origin.slice(`${scheme}://`.length),
        'User-Agent': 'Sightline',
        Accept: '*/*',
        ...(range === undefined ? {} : { Range: range }),
        ...this.#authenticator.headersFor('GET', path === '' ? '/' : path),
      },
    };
    const request = scheme === 'https' ? requestHttps(options) : requestHttp(options);
    const answer = new Promise<IncomingMessage>((resolve, reject) => {
      request.once('response', resolve);
      request.on('error', (error) => reject(asCameraError(error, what)));
    });
    request.end();
    return within(answer, this.#options.requestTimeoutMs, this.#options.signal, () => {
      request.destroy();
      const text = `${what} did not answer within ${this.#options.requestTimeoutMs} ms`;
      return cameraError('SIGHTLINE_CAMERA_TIMEOUT', text);
    });
  }

  #makeAgent(): HttpAgent | HttpsAgent {
    const common = { keepAlive: true, maxSockets: maxSocketsPerCamera };
    if (this.#target.scheme === 'http') return new HttpAgent(common);
    return new HttpsAgent({
      ...common,
      rejectUnauthorized: !this.#options.tlsInsecure,
      ...(this.#options.tlsCa === undefined ? {} : { ca: [...rootCertificates, this.#options.tlsCa] }),
      // The connection goes to the pinned address; the certificate must be that of the name.
      ...(isIP(this.#target.host) === 0 ? { servername: this.#target.host } : {}),
    });
  }
}

function asCameraError(error: unknown, what: string): Error {
  const code = systemCode(error) ?? '';
  if (code.startsWith('HPE_')) {
    return cameraError('SIGHTLINE_CAMERA_PROTOCOL', `${what} does not speak HTTP (${code})`, { cause: error });
  }
  if (/^(ERR_TLS|ERR_SSL|CERT|UNABLE_TO|SELF_SIGNED|DEPTH_ZERO|EPROTO)/.test(code)) {
    return cameraError('SIGHTLINE_CAMERA_TLS', `the encrypted connection to ${what} could not be made (${code})`, {
      cause: error,
    });
  }
  const mapped = connectionError(error, what);
  return mapped instanceof Error ? mapped : new Error('request failed');
}

function statusError(status: number): AppError {
  const said = `the camera answered with status ${status}`;
  switch (status) {
    case 403:
      return cameraError('SIGHTLINE_CAMERA_AUTH', `${said}: this user may not view the stream`);
    case 404:
    case 410:
      return cameraError('SIGHTLINE_CAMERA_NOT_FOUND', `${said}: it has no stream at this path`);
    case 429:
    case 503:
      return cameraError('SIGHTLINE_CAMERA_REFUSED', `${said}: it is busy`);
    default:
      return cameraError('SIGHTLINE_CAMERA_PROTOCOL', said);
  }
}
