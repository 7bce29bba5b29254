import type { CameraRegistration } from '#schemas';
import { AppError } from './errors.ts';

/** What became of a registration; `registration` is null where it was removed. */
export interface CameraRegistryChange {
  readonly cameraId: string;
  readonly registration: CameraRegistration | null;
  /** How long ago it was changed, where that is known; a removal carries no time of its own. */
  readonly ageMs?: number;
}

export interface ExpectedVersion {
  /** The `config_version` that the change was made on; 0: the camera is not registered yet. Without it the change is made on whatever is there. */
  readonly expectedVersion?: number;
}

/**
 * The cameras of an installation as they are registered, for all who read or change them. Throws SIGHTLINE_CAMERA_EXISTS (expected none),
 * SIGHTLINE_CAMERA_CHANGED (expected another version) and SIGHTLINE_CAMERA_UNKNOWN (expected one, or nothing to remove).
 */
export interface CameraRegistry {
  /** Resolves when what is stored can be read. */
  open(): Promise<void>;
  /** By camera id. */
  list(): Promise<readonly CameraRegistration[]>;
  get(cameraId: string): Promise<CameraRegistration | undefined>;
  /** Stores it and resolves with what is stored: `config_version` one higher than before, `created_at` of the first registration. */
  put(registration: CameraRegistration, expected?: ExpectedVersion): Promise<CameraRegistration>;
  remove(cameraId: string, expected?: ExpectedVersion): Promise<void>;
  /** Calls `listener` after every change, also one that another process made. Returns what ends it. */
  watch(listener: (change: CameraRegistryChange) => void): () => void;
  /** May be called twice. */
  close(): Promise<void>;
}

/** What a registry stores in place of `previous`. Throws where the change was made on another version. */
export function nextRegistration(
  registration: CameraRegistration,
  previous: CameraRegistration | undefined,
  expected: ExpectedVersion,
): CameraRegistration {
  checkVersion(registration.camera_id, previous, expected);
  return {
    ...registration,
    config_version: (previous?.config_version ?? 0) + 1,
    created_at: previous?.created_at ?? registration.created_at,
  };
}

/** Throws where what is there is not what was expected. */
export function checkVersion(
  cameraId: string,
  previous: CameraRegistration | undefined,
  { expectedVersion }: ExpectedVersion,
): void {
  if (expectedVersion === undefined) return;
  if (previous === undefined) {
    if (expectedVersion !== 0) throw unknownCamera(cameraId);
    return;
  }
  if (expectedVersion === 0) throw new AppError('SIGHTLINE_CAMERA_EXISTS', `camera ${cameraId} is registered already`);
  if (expectedVersion !== previous.config_version) {
    throw new AppError(
      'SIGHTLINE_CAMERA_CHANGED',
      `camera ${cameraId} is at version ${previous.config_version}, and the change was made on ${expectedVersion}`,
    );
  }
}

export function unknownCamera(cameraId: string): AppError {
  return new AppError('SIGHTLINE_CAMERA_UNKNOWN', `no camera is registered as ${cameraId}`);
}
