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
      return keep(makeRegistration(inputOf(id, patch, previous), previous), expectedVersion ?? previous.config_version);
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

function inputOf(id: string, draft: CameraPatch, previous?: CameraRegistration): CameraRegistrationInput {
  const {
    url,
    password,
    enabled,
    fps,
    tls_insecure: tlsInsecure,
    crop,
    tags,
    loop,
    realtime,
    priority,
    filter,
    transport,
    geometry,
  } = draft;
  const input = {
    ...{ camera_id: id, url, password, enabled, fps, tls_insecure: tlsInsecure, crop, tags, loop, realtime, priority },
    allow_http: draft.allow_http,
    filter: filter === undefined ? undefined : filter === 'auto' ? 'AUTO' : 'OFF',
    transport: transport === undefined ? undefined : transport === 'udp' ? 'UDP' : 'TCP',
    stall_timeout_ms: draft.stall_timeout_s === undefined ? undefined : Math.round(draft.stall_timeout_s * msPerS),
    max_age_ms: draft.max_age_s === undefined ? undefined : Math.round(draft.max_age_s * msPerS),
    masks: geometry?.masks,
    // Whoever only moves a corner need not know what else hangs on the shape.
    zones: geometry?.zones.map((zone) => ({
      classes: previous?.zones.find(({ id: known }) => known === zone.id)?.classes ?? [],
      ...zone,
    })),
    lines: geometry?.lines.map((line) => {
      const { a_to_b = 'A to B', b_to_a = 'B to A' } = previous?.lines.find(({ id: known }) => known === line.id) ?? {};
      return { a_to_b, b_to_a, ...line };
    }),
  };
  // What was not said is absent, and every other member is of the type that stands above.
  return Object.fromEntries(
    Object.entries(input).filter(([, value]) => value !== undefined),
  ) as unknown as CameraRegistrationInput;
}

function entryOf(registration: CameraRegistration): CameraEntry {
  const { camera_id: id, url, enabled, tls_insecure, tags, zones, lines, masks } = registration;
  const { loop, realtime, priority, allow_http } = registration;
  return {
    ...{ id, url, enabled, tls_insecure, tags, loop, realtime, priority, allow_http },
    fps: asWritten(registration.fps),
    crop: mapNumbers(registration.crop),
    has_credentials: registration.sealed_credentials !== null,
    filter: registration.filter === 'AUTO' ? 'auto' : 'off',
    transport: registration.transport === 'UDP' ? 'udp' : 'tcp',
    stall_timeout_s: registration.stall_timeout_ms / msPerS,
    max_age_s: registration.max_age_ms / msPerS,
    geometry: {
      zones: zones.map((zone) => ({ ...zone, polygon: zone.polygon.map(mapNumbers) })),
      lines: lines.map((line) => ({ ...line, from: mapNumbers(line.from), to: mapNumbers(line.to) })),
      masks: masks.map((mask) => ({ ...mask, polygon: mask.polygon.map(mapNumbers) })),
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

/** Records hold 32-bit numbers: 29.97 comes back as 29.969999313354492. Seven digits are all that one of them has. */
function asWritten(value: number): number {
  return Number(value.toPrecision(7));
}

function mapNumbers<Shape extends object | null>(shape: Shape): Shape {
  if (shape === null) return shape;
  // The same names with the same kind of values.
  return Object.fromEntries(Object.entries(shape).map(([name, value]) => [name, asWritten(value as number)])) as Shape;
}
