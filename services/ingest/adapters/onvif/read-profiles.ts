import type { Clock } from '#shared/core/clock';
import type { OnvifDevice } from '#shared/core/found-cameras';
import { askChild } from '#shared/runtime/ask-child';
import type { AddressPolicy } from '../../core/address-policy.ts';
import { cameraError } from '../../core/camera-failure.ts';
import { resolveAllowed } from '../relay/camera-socket.ts';
import type { ProfilesAnswer, ProfilesRequest } from './onvif-messages.ts';

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
  const what = `the ONVIF service at ${host} port ${port}`;
  const noService = (): Error =>
    cameraError('SIGHTLINE_CAMERA_PROTOCOL', `what answers at ${host} port ${port} is no ONVIF service`);
  const answer = await askChild<ProfilesRequest, ProfilesAnswer>({
    script: new URL('./onvif-child.ts', import.meta.url),
    request: { address, port, path, user, password, timeoutMs },
    // It gets its question with the password by the channel; its environment holds nothing of ours.
    environment: {},
    ...{ timeoutMs, signal },
    late: () => timedOut(what, timeoutMs),
    // The library met an answer that it did not expect.
    ended: noService,
  });
  if (answer.kind === 'found') return answer.device;
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
      throw noService();
  }
}

function timedOut(what: string, timeoutMs: number): Error {
  return cameraError('SIGHTLINE_CAMERA_TIMEOUT', `${what} did not answer within ${timeoutMs / 1000} s`);
}
