import type { BoundingBoxRecord, PointRecord } from '#schemas';
import { AppError } from '#shared/core/errors';
import { looksLikeUrl, parseCameraUrl, type CameraAddress } from './camera-url.ts';

export type FilterMode = 'off' | 'auto';

export type CameraSource =
  | { readonly kind: 'rtsp' | 'http'; readonly address: CameraAddress }
  | { readonly kind: 'file'; readonly path: string };

/** One camera, complete: every default is filled in. Prints without secrets, for the address keeps its credentials to itself. */
export interface CameraSpec {
  readonly id: string;
  readonly source: CameraSource;
  /** Frames per second that are sampled; a source with fewer gives all it has. */
  readonly fps: number;
  readonly filter: FilterMode;
  /** How RTP comes from the camera; without meaning for http and files. */
  readonly transport: 'tcp' | 'udp';
  readonly tlsInsecure: boolean;
  /** The part of the picture that is looked at, as fractions of it; null for all. */
  readonly crop: BoundingBoxRecord | null;
  /** What nobody is to see: polygons in fractions of the whole picture, painted over before anything else is done with it. */
  readonly masks: readonly (readonly PointRecord[])[];
  readonly tags: Readonly<Record<string, string>>;
  /** A file is played at its own speed, like a camera; without meaning for cameras. */
  readonly realtime: boolean;
  /** A file starts over when it ends. */
  readonly loop: boolean;
  /** Ends with the source: nothing is dropped on the way (files), no reconnect (cameras). */
  readonly untilEnd: boolean;
  /** Without a frame for this long the connection is given up as STALLED. */
  readonly stallTimeoutMs: number;
  /** A live frame older than this is not worth analysing. */
  readonly maxAgeMs: number;
  /** Share of inference while cameras have to wait for each other; absent: 1. */
  readonly priority?: number;
}

export interface CameraInput {
  readonly id: string;
  /** A camera URL, or the path of a file. */
  readonly url: string;
  readonly password?: string;
  readonly allowHttp?: boolean;
  readonly fps?: number;
  readonly filter?: FilterMode;
  readonly transport?: 'tcp' | 'udp';
  readonly tlsInsecure?: boolean;
  readonly crop?: BoundingBoxRecord;
  readonly masks?: CameraSpec['masks'];
  readonly tags?: Readonly<Record<string, string>>;
  readonly realtime?: boolean;
  readonly loop?: boolean;
  readonly untilEnd?: boolean;
  readonly stallTimeoutMs?: number;
  readonly maxAgeMs?: number;
  readonly priority?: number;
}

export const cameraDefaults = {
  /** Enough to follow a person through a room; a fifth of what cameras send. */
  fps: 5,
  filter: 'off',
  transport: 'tcp',
  /** Longer than the keyframe interval of nearly all cameras, short enough for an operator to see it. */
  stallTimeoutMs: 15_000,
  /** What is shown or alarmed later than this helps nobody who watches live. */
  maxAgeMs: 2_000,
} as const;

const idPattern = /^[a-zA-Z0-9_-]{1,64}$/;
const highestFps = 120;
/** `rtsp:/…`, ` rtsp://…`, `user:password@host/…`: as the name of a file, the password in it would be told with every error. */
const mistypedUrl = /^\s*(?:rtsps?|https?)[:/\\]|^[^/\\]*:\/\/|^[^/\\]*:[^/\\]*@/i;

/** Checks and completes what a user said of a camera. Throws SIGHTLINE_CONFIG_INVALID or SIGHTLINE_CAMERA_URL_INVALID. */
export function createCameraSpec(input: CameraInput): CameraSpec {
  if (!idPattern.test(input.id)) {
    // A URL in place of a name may hold a password.
    const shown = input.id.includes(':') ? '' : `${JSON.stringify(input.id.slice(0, 80))} cannot be one: `;
    throw invalid(`${shown}a camera name has 1 to 64 letters, digits, "_" or "-"`);
  }
  const name = `camera ${input.id}`;
  const fps = input.fps ?? cameraDefaults.fps;
  if (!(fps > 0 && fps <= highestFps)) throw invalid(`${name}: fps is above 0 and at most ${highestFps}`);
  const untilEnd = input.untilEnd ?? false;
  const loop = input.loop ?? false;
  if (untilEnd && loop) throw invalid(`${name}: a file that starts over has no end to wait for`);
  if (input.url === '') throw invalid(`${name}: no URL or file given`);
  if (input.url.includes('\0')) throw invalid(`${name}: the URL or path holds a NUL character`);
  return {
    id: input.id,
    source: namingCamera(name, () => sourceOf(input)),
    fps,
    filter: input.filter ?? cameraDefaults.filter,
    transport: input.transport ?? cameraDefaults.transport,
    tlsInsecure: input.tlsInsecure ?? false,
    crop: input.crop === undefined ? null : checkedCrop(input.crop, name),
    masks: input.masks ?? [],
    tags: input.tags ?? {},
    realtime: input.realtime ?? !untilEnd,
    loop,
    untilEnd,
    stallTimeoutMs: input.stallTimeoutMs ?? cameraDefaults.stallTimeoutMs,
    maxAgeMs: input.maxAgeMs ?? cameraDefaults.maxAgeMs,
    ...(input.priority === undefined ? {} : { priority: input.priority }),
  };
}

/** Two cameras with one name would mix their records. Throws SIGHTLINE_CONFIG_INVALID. */
export function checkCameraNames(cameras: readonly CameraSpec[]): void {
  const seen = new Set<string>();
  for (const { id } of cameras) {
    if (seen.has(id)) throw invalid(`two cameras are named ${id}`);
    seen.add(id);
  }
}

/** Whether frames wait for whoever is behind (a file that is read as fast as it goes) or the newest wins (anything live). */
export function waitsForReader(camera: CameraSpec): boolean {
  return camera.source.kind === 'file' && (camera.untilEnd || !camera.realtime);
}

/** Whether nothing differs, credentials included. */
export function isSameCamera(one: CameraSpec, other: CameraSpec): boolean {
  return JSON.stringify(one) === JSON.stringify(other) && secretOf(one) === secretOf(other);
}

function secretOf({ source }: CameraSpec): string {
  return JSON.stringify(source.kind === 'file' ? null : (source.address.credentials?.reveal() ?? null));
}

function sourceOf(input: CameraInput): CameraSource {
  if (!looksLikeUrl(input.url)) {
    if (mistypedUrl.test(input.url)) {
      throw new AppError('SIGHTLINE_CAMERA_URL_INVALID', 'it begins like a URL, but not as a URL does', {
        action: 'Write a camera as rtsp://USER:PASSWORD@HOST/PATH, and a file of such a name as ./NAME.',
      });
    }
    return { kind: 'file', path: input.url };
  }
  const address = parseCameraUrl(input.url, {
    ...(input.allowHttp === undefined ? {} : { allowHttp: input.allowHttp }),
    ...(input.password === undefined ? {} : { password: input.password }),
  });
  return { kind: address.scheme === 'http' || address.scheme === 'https' ? 'http' : 'rtsp', address };
}

/** Which of many cameras it is, is the first thing to know about a wrong URL. */
function namingCamera<T>(name: string, work: () => T): T {
  try {
    return work();
  } catch (thrown) {
    if (!(thrown instanceof AppError)) throw thrown;
    const { code, message, action } = thrown;
    throw new AppError(code, `${name}: ${message}`, { action });
  }
}

function checkedCrop(crop: BoundingBoxRecord, name: string): BoundingBoxRecord {
  const { x, y, width, height } = crop;
  if (!(x >= 0 && y >= 0 && width > 0 && height > 0 && x + width <= 1 + 1e-9 && y + height <= 1 + 1e-9)) {
    throw invalid(`${name}: crop lies inside the picture, as fractions 0 to 1 of it`);
  }
  return { x, y, width, height };
}

function invalid(message: string): AppError {
  return new AppError('SIGHTLINE_CONFIG_INVALID', message);
}
