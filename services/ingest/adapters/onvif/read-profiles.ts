import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { Clock } from '#shared/core/clock';
import type { AddressPolicy } from '../../core/address-policy.ts';
import { cameraError } from '../../core/camera-failure.ts';
import { resolveAllowed } from '../relay/camera-socket.ts';
import { within } from '../relay/deadline.ts';
import type { OnvifDevice, ProfilesAnswer, ProfilesRequest } from './onvif-messages.ts';

export interface ReadProfilesOptions {
  readonly host: string;
  readonly port: number;
  readonly path?: string;
  readonly user?: string;
  readonly password?: string;
  readonly policy: AddressPolicy;
  readonly clock: Clock;
  readonly timeoutMs: number;
  readonly signal?: AbortSignal;
}

/**
 * What streams an ONVIF device has. The name is resolved once and its address judged; only that address is connected to. Throws as a camera
 * that cannot be used does: SIGHTLINE_CAMERA_AUTH, _REFUSED, _TIMEOUT, _NOT_ALLOWED, _DNS, _PROTOCOL.
 */
export async function readProfiles(options: ReadProfilesOptions): Promise<OnvifDevice> {
  const { host, port, path = '/onvif/device_service', user = null, password = null, timeoutMs } = options;
  const signal = options.signal ?? new AbortController().signal;
  const { policy, clock } = options;
  const [address] = await resolveAllowed(host, { policy, timeoutMs, clock, signal, onStep: () => undefined });
  if (address === undefined) throw new TypeError('a host was allowed without an address');
  const answer = await ask({ address, port, path, user, password, timeoutMs }, signal, `${host} port ${port}`);
  if (answer.kind === 'found') return answer.device;
  const what = `the ONVIF service at ${host} port ${port}`;
  switch (answer.reason) {
    case 'auth':
      throw cameraError('SIGHTLINE_CAMERA_AUTH', `${what} refuses the user name or password`, {
        action: 'Give a user of the ONVIF service; on many cameras it is made apart from the one of the web page.',
      });
    case 'refused':
      throw cameraError('SIGHTLINE_CAMERA_REFUSED', `nothing listens at ${host} port ${port}`, {
        action: 'Check that ONVIF is switched on at the camera, and its port: 80, 8000 and 8080 are usual.',
      });
    case 'unreachable':
      throw cameraError('SIGHTLINE_CAMERA_UNREACHABLE', `${what} cannot be reached`);
    case 'timeout':
      throw timedOut(what, timeoutMs);
    case 'protocol':
      throw cameraError('SIGHTLINE_CAMERA_PROTOCOL', `what answers at ${host} port ${port} is no ONVIF service`);
  }
}

async function ask(request: ProfilesRequest, signal: AbortSignal, place: string): Promise<ProfilesAnswer> {
  const child = fork(fileURLToPath(new URL('./onvif-child.ts', import.meta.url)), [], {
    execArgv: [],
    // It gets its question with the password by the channel; its environment holds nothing of ours.
    env: {},
    stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
  });
  const kill = (): void => void child.kill('SIGKILL');
  process.once('exit', kill);
  const gone = new Promise<void>((resolve) => child.once('close', () => resolve()));
  const answered = new Promise<ProfilesAnswer>((resolve) => {
    child.once('message', (answer: ProfilesAnswer) => resolve(answer));
    // The library met an answer that it did not expect.
    for (const event of ['error', 'exit']) child.once(event, () => resolve({ kind: 'failed', reason: 'protocol' }));
    child.send(request, (error) => {
      if (error !== null) resolve({ kind: 'failed', reason: 'protocol' });
    });
  });
  try {
    return await within(answered, request.timeoutMs, signal, () =>
      timedOut(`the ONVIF service at ${place}`, request.timeoutMs),
    );
  } finally {
    kill();
    await gone;
    process.removeListener('exit', kill);
  }
}

function timedOut(what: string, timeoutMs: number): Error {
  return cameraError('SIGHTLINE_CAMERA_TIMEOUT', `${what} did not answer within ${timeoutMs / 1000} s`);
}
