import { lookup } from 'node:dns/promises';
import { connect as connectTcp, isIP, type Socket } from 'node:net';
import { connect as connectTls, rootCertificates, type ConnectionOptions, type TLSSocket } from 'node:tls';
import type { Clock } from '#shared/core/clock';
import { judgeAddress, type AddressPolicy } from '../../core/address-policy.ts';
import { cameraError } from '../../core/camera-failure.ts';
import { within } from './deadline.ts';
import type { RelayStep } from './relay-types.ts';

export interface ConnectOptions {
  readonly policy: AddressPolicy;
  readonly timeoutMs: number;
  readonly tlsInsecure: boolean;
  readonly tlsCa: string | undefined;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  readonly onStep: (step: RelayStep) => void;
}

export interface CameraSocket {
  readonly socket: Socket;
  readonly remoteAddress: string;
}

const maxAddressesTried = 3;

/** What finding the address of a host takes. */
export type ResolveOptions = Pick<ConnectOptions, 'policy' | 'timeoutMs' | 'clock' | 'signal' | 'onStep'>;

/** Resolves the host once and gives the addresses that the policy allows: from here on only they are used, so a second answer of DNS changes nothing. */
export async function resolveAllowed(host: string, options: ResolveOptions): Promise<readonly string[]> {
  const startedMs = options.clock.monotonicMs();
  const addresses = isIP(host) === 0 ? await lookUp(host, options) : [host];
  const verdicts = addresses.map((address) => ({ address, verdict: judgeAddress(address, options.policy) }));
  const allowed = verdicts.filter(({ verdict }) => verdict.allowed).map(({ address }) => address);
  if (allowed.length === 0) {
    const refusal = verdicts.find(({ verdict }) => !verdict.allowed)?.verdict;
    const reason = refusal?.allowed === false ? refusal.reason : 'it has no address';
    throw cameraError('SIGHTLINE_CAMERA_NOT_ALLOWED', `the camera at ${host} may not be connected to: ${reason}`);
  }
  options.onStep({ step: 'dns', durationMs: options.clock.monotonicMs() - startedMs, detail: allowed.join(', ') });
  return allowed.slice(0, maxAddressesTried);
}

/** Connects to the first of the addresses that answers; with TLS when `tlsHost` is given, whose certificate it must show. */
export async function connectCamera(
  addresses: readonly string[],
  port: number,
  tlsHost: string | null,
  options: ConnectOptions,
): Promise<CameraSocket> {
  const startedMs = options.clock.monotonicMs();
  let failure: unknown;
  for (const address of addresses) {
    try {
      const plain = connectTcp({ host: address, port, noDelay: true });
      await opened(plain, 'connect', options, `${address} port ${port}`);
      const detail = `${address} port ${port}`;
      options.onStep({ step: 'tcp', durationMs: options.clock.monotonicMs() - startedMs, detail });
      const socket = tlsHost === null ? plain : await secure(plain, tlsHost, options);
      return { socket, remoteAddress: address };
    } catch (error) {
      failure = error;
      if (options.signal.aborted) break;
    }
  }
  throw failure;
}

async function lookUp(host: string, options: ResolveOptions): Promise<string[]> {
  const what = `the name ${host} was not resolved within ${options.timeoutMs} ms`;
  try {
    const found = await within(lookup(host, { all: true }), options.timeoutMs, options.signal, () =>
      cameraError('SIGHTLINE_CAMERA_DNS', what),
    );
    return found.map(({ address }) => address);
  } catch (error) {
    const code = systemCode(error);
    if (code === undefined) throw error;
    throw cameraError('SIGHTLINE_CAMERA_DNS', `the name ${host} could not be resolved (${code})`, { cause: error });
  }
}

async function secure(plain: Socket, host: string, options: ConnectOptions): Promise<TLSSocket> {
  const startedMs = options.clock.monotonicMs();
  const settings: ConnectionOptions = {
    socket: plain,
    rejectUnauthorized: !options.tlsInsecure,
    // Old cameras know no more than TLS 1.0 with old ciphers; whoever accepts any certificate accepts that too.
    ...(options.tlsInsecure ? { minVersion: 'TLSv1', ciphers: 'DEFAULT@SECLEVEL=0' } : {}),
    ...(options.tlsCa === undefined ? {} : { ca: [...rootCertificates, options.tlsCa] }),
    // An address is no server name (RFC 6066); the certificate is then checked against the address.
    ...(isIP(host) === 0 ? { servername: host } : { host }),
  };
  const socket = connectTls(settings);
  try {
    await opened(socket, 'secureConnect', options, `the TLS handshake with ${host}`);
  } catch (error) {
    plain.destroy();
    const code = systemCode(error instanceof Error ? error.cause : error) ?? systemCode(error) ?? 'no answer';
    if (options.signal.aborted) throw error;
    throw cameraError('SIGHTLINE_CAMERA_TLS', `the encrypted connection to ${host} could not be made (${code})`, {
      cause: error,
    });
  }
  const durationMs = options.clock.monotonicMs() - startedMs;
  options.onStep({ step: 'tls', durationMs, detail: socket.getProtocol() ?? 'TLS' });
  return socket;
}

async function opened(socket: Socket, event: string, options: ConnectOptions, what: string): Promise<void> {
  let onDone: (() => void) | undefined;
  const ready = new Promise<void>((resolve, reject) => {
    socket.once(event, () => resolve());
    socket.once('error', reject);
    onDone = () => reject(new Error('closed'));
    socket.once('close', onDone);
  });
  try {
    await within(ready, options.timeoutMs, options.signal, () =>
      cameraError('SIGHTLINE_CAMERA_TIMEOUT', `${what} did not answer within ${options.timeoutMs} ms`),
    );
  } catch (error) {
    // An error that comes after we gave up must not end the process.
    socket.on('error', () => {});
    socket.destroy();
    throw options.signal.aborted ? error : connectionError(error, what);
  } finally {
    if (onDone !== undefined) socket.off('close', onDone);
  }
}

/** A socket's error in our terms. What is ours already stays. */
export function connectionError(error: unknown, what: string): unknown {
  const code = systemCode(error);
  switch (code) {
    case undefined:
      return error;
    case 'ECONNREFUSED':
      return cameraError('SIGHTLINE_CAMERA_REFUSED', `nothing listens at ${what}`, { cause: error });
    case 'ETIMEDOUT':
      return cameraError('SIGHTLINE_CAMERA_TIMEOUT', `${what} did not answer`, { cause: error });
    default:
      return cameraError('SIGHTLINE_CAMERA_UNREACHABLE', `${what} cannot be reached (${code})`, { cause: error });
  }
}

/** The code of an error of Node or the system; undefined for ours and for everything else. */
export function systemCode(error: unknown): string | undefined {
  if (!(error instanceof Error) || error.name === 'AppError' || !('code' in error)) return undefined;
  return typeof error.code === 'string' ? error.code : undefined;
}
