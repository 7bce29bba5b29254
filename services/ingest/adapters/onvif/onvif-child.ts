import { Cam } from 'onvif';
import type { OnvifProfile } from '#shared/core/found-cameras';
import type { ProfilesAnswer, ProfilesRequest } from './onvif-messages.ts';

/**
 * The process that asks one device for its profiles. It is one of its own because the library throws out of its callbacks at answers that it
 * did not expect, which would end whoever loaded it; and because it is over with the question, memory and all.
 */
process.once('disconnect', () => process.exit());
process.once('message', (request: ProfilesRequest) => {
  void answer(request).then((said) => process.send?.(said)); // answer() never rejects
});

const maxProfiles = 64;
const maxTextLength = 200;

async function answer(request: ProfilesRequest): Promise<ProfilesAnswer> {
  const { address, port, path, user, password, timeoutMs } = request;
  const camera = new Cam({
    ...{ hostname: address, port, path, timeout: timeoutMs, autoconnect: false },
    // Services are asked at the address that was judged, wherever the device says that they are.
    preserveAddress: true,
    ...(user === null ? {} : { username: user, password: password ?? '' }),
  });
  const seen = { refusal: false };
  camera.on('rawResponse', (xml: unknown, status: unknown) => {
    if (status === 401 || (typeof xml === 'string' && /:(?:NotAuthorized|FailedAuthentication)\s*</.test(xml)))
      seen.refusal = true;
  });
  try {
    // Its clock goes into the digest of the password.
    await told((done) => camera.getSystemDateAndTime(done));
    await told((done) => camera.getServices(true, done)).catch(() => told((done) => camera.getCapabilities(done)));
    const profiles = list(await told((done) => camera.getProfiles(done)));
    const shown: OnvifProfile[] = [];
    for (const profile of profiles.slice(0, maxProfiles)) {
      const token = text(record(record(profile)['$'])['token']);
      if (token === null) continue;
      const { uri } = record(
        await told((done) => camera.getStreamUri({ protocol: 'RTSP', profileToken: token }, done)),
      );
      const url = streamUrl(text(uri), address);
      if (url !== null) shown.push(profileOf(record(profile), token, url));
    }
    // Not every account may read it, and nothing depends on it.
    const about = record(await told((done) => camera.getDeviceInformation(done)).catch(() => undefined));
    return {
      kind: 'found',
      device: {
        ...{ manufacturer: text(about['manufacturer']), model: text(about['model']) },
        ...{ firmware: text(about['firmwareVersion']), profiles: shown },
      },
    };
  } catch (error) {
    return { kind: 'failed', reason: seen.refusal ? 'auth' : reasonOf(error) };
  }
}

function told(ask: (done: (error: Error | null | undefined, data?: unknown) => void) => void): Promise<unknown> {
  return new Promise((resolve, reject) =>
    ask((error, data) => {
      if (error == null) resolve(data);
      else reject(error);
    }),
  );
}

function profileOf(profile: Readonly<Record<string, unknown>>, token: string, url: string): OnvifProfile {
  const encoder = record(profile['videoEncoderConfiguration'] ?? record(profile['configurations'])['videoEncoder']);
  const resolution = record(encoder['resolution']);
  return {
    ...{ token, url, name: text(profile['name']) ?? token, codec: text(encoder['encoding']) },
    ...{ width_px: number(resolution['width']), height_px: number(resolution['height']) },
    fps: number(record(encoder['rateControl'])['frameRateLimit']),
  };
}

/** At the address that was asked: behind a router a device names one that leads nowhere. */
function streamUrl(uri: string | null, address: string): string | null {
  if (uri === null || !URL.canParse(uri)) return null;
  const url = new URL(uri);
  if (!/^rtsps?:$/.test(url.protocol)) return null;
  url.username = '';
  url.password = '';
  url.hostname = address.includes(':') ? `[${address}]` : address;
  return url.href;
}

function reasonOf(error: unknown): 'refused' | 'unreachable' | 'timeout' | 'protocol' {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  switch (code) {
    case 'ECONNREFUSED':
      return 'refused';
    case 'ETIMEDOUT':
    case 'ESOCKETTIMEDOUT':
      return 'timeout';
    case 'EHOSTUNREACH':
    case 'ENETUNREACH':
      return 'unreachable';
    default:
      return 'protocol';
  }
}

function record(value: unknown): Readonly<Record<string, unknown>> {
  // Every object is a record of unknown values.
  return typeof value === 'object' && value !== null ? (value as Readonly<Record<string, unknown>>) : {};
}

function list(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? (value as readonly unknown[]) : value === undefined ? [] : [value];
}

/** The library makes a number of what looks like one: `1.2` of a firmware. */
function text(given: unknown): string | null {
  const value = typeof given === 'number' ? String(given) : given;
  return typeof value === 'string' && value !== '' ? value.replaceAll(/\p{C}/gu, '').slice(0, maxTextLength) : null;
}

function number(value: unknown): number | null {
  return typeof value === 'number' && Number.isFinite(value) ? value : null;
}
