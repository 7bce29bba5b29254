import type { CameraRegistration } from '#schemas';
import type { CameraRegistrationInput } from '#shared/core/camera-registration-input';
import type { CameraRegistry } from '#shared/core/camera-registry';
import { AppError } from '#shared/core/errors';
import type { CameraDirectory, CameraDraft, CameraEntry, CameraPatch } from './ports.ts';
import { cameraExists, cameraUnknown } from './register-camera.ts';

export interface RegisteredCamerasOptions {
  readonly registry: CameraRegistry;
  /** Those of the settings file and of the command line. */
  readonly fromFile: readonly CameraEntry[];
  /** Checks what was said and seals the credentials; how is the business of ingest. */
  readonly makeRegistration: (
    input: CameraRegistrationInput,
    previous: CameraRegistration | undefined,
  ) => CameraRegistration;
  /** The URL with its credentials, for the probe. */
  readonly revealUrl: (registration: CameraRegistration) => string;
}

const msPerS = 1000;

/** The registry as the API shows it, kept in memory, together with the cameras of the settings file. */
export async function openRegisteredCameras(
  options: RegisteredCamerasOptions,
): Promise<CameraDirectory & { close(): void }> {
  const { registry, makeRegistration } = options;
  const registrations = new Map<string, CameraRegistration>();
  const fromFile = new Map(options.fromFile.map((camera) => [camera.id, camera]));
  const stopWatching = registry.watch(({ cameraId, registration }) => {
    if (registration === null) registrations.delete(cameraId);
    else registrations.set(cameraId, registration);
  });
  for (const registration of await registry.list()) registrations.set(registration.camera_id, registration);

  const registered = (id: string): CameraRegistration => {
    if (fromFile.has(id))
      throw new AppError('SIGHTLINE_CAMERA_FROM_FILE', `camera ${id} comes from the settings of this run`);
    const registration = registrations.get(id);
    if (registration === undefined) throw cameraUnknown(id);
    return registration;
  };
  const keep = async (registration: CameraRegistration, expectedVersion?: number): Promise<CameraEntry> => {
    const stored = await registry.put(registration, expectedVersion === undefined ? {} : { expectedVersion });
    registrations.set(stored.camera_id, stored);
    return entryOf(stored);
  };

  return {
    list: () =>
      [...fromFile.values(), ...Array.from(registrations.values(), entryOf)].sort((a, b) => (a.id < b.id ? -1 : 1)),
    get(id) {
      const registration = registrations.get(id);
      return fromFile.get(id) ?? (registration === undefined ? undefined : entryOf(registration));
    },
    check: (draft) => void makeRegistration(inputOf(draft.id, draft), undefined),
    async create(draft) {
      if (fromFile.has(draft.id)) throw cameraExists(draft.id);
      return keep(makeRegistration(inputOf(draft.id, draft), undefined), 0);
    },
    async update(id, patch, expectedVersion) {
      const previous = registered(id);
      return keep(makeRegistration(inputOf(id, patch), previous), expectedVersion ?? previous.config_version);
    },
    async remove(id, expectedVersion) {
      registered(id);
      await registry.remove(id, expectedVersion === undefined ? {} : { expectedVersion });
      registrations.delete(id);
    },
    draftOf(id): CameraDraft | undefined {
      const registration = registrations.get(id);
      if (registration !== undefined) return { ...entryOf(registration), url: options.revealUrl(registration) };
      return fromFile.get(id);
    },
    close: stopWatching,
  };
}

function inputOf(id: string, draft: CameraPatch): CameraRegistrationInput {
  const {
    url,
    password,
    enabled,
    fps,
    tls_insecure: tlsInsecure,
    crop,
    tags,
    loop,
    filter,
    transport,
    geometry,
  } = draft;
  const input = {
    ...{ camera_id: id, url, password, enabled, fps, tls_insecure: tlsInsecure, crop, tags, loop },
    filter: filter === undefined ? undefined : filter === 'auto' ? 'AUTO' : 'OFF',
    transport: transport === undefined ? undefined : transport === 'udp' ? 'UDP' : 'TCP',
    stall_timeout_ms: draft.stall_timeout_s === undefined ? undefined : Math.round(draft.stall_timeout_s * msPerS),
    max_age_ms: draft.max_age_s === undefined ? undefined : Math.round(draft.max_age_s * msPerS),
    masks: geometry?.masks,
    zones: geometry?.zones.map((zone) => ({ ...zone, classes: [] })),
    lines: geometry?.lines.map((line) => ({ ...line, a_to_b: 'A to B', b_to_a: 'B to A' })),
  };
  // What was not said is absent, and every other member is of the type that stands above.
  return Object.fromEntries(
    Object.entries(input).filter(([, value]) => value !== undefined),
  ) as unknown as CameraRegistrationInput;
}

function entryOf(registration: CameraRegistration): CameraEntry {
  const { camera_id: id, url, enabled, fps, tls_insecure, crop, tags, loop, zones, lines, masks } = registration;
  return {
    ...{ id, url, enabled, fps, tls_insecure, crop, tags, loop },
    has_credentials: registration.sealed_credentials !== null,
    filter: registration.filter === 'AUTO' ? 'auto' : 'off',
    transport: registration.transport === 'UDP' ? 'udp' : 'tcp',
    stall_timeout_s: registration.stall_timeout_ms / msPerS,
    max_age_s: registration.max_age_ms / msPerS,
    geometry: {
      zones: zones.map(({ id: zoneId, name, polygon }) => ({ id: zoneId, name, polygon })),
      lines: lines.map(({ id: lineId, name, from, to }) => ({ id: lineId, name, from, to })),
      masks,
    },
    origin: 'api',
    version: registration.config_version,
    created_at: timeText(registration.created_at),
    updated_at: timeText(registration.updated_at),
  };
}

function timeText(micros: number): string {
  return new Date(micros / 1000).toISOString();
}
