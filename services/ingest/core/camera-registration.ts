import type { CameraRegistration, LineRecord, MaskRecord, PointRecord, ZoneRecord } from '#schemas';
import type { CameraRegistrationInput } from '#shared/core/camera-registration-input';
import { AppError } from '#shared/core/errors';
import type { SecretBox } from '#shared/core/secret-box';
import { createCameraSpec, type CameraSpec } from './camera-spec.ts';

export interface RegistrationContext {
  readonly secretBox: SecretBox;
  readonly nowUs: number;
  /** Who makes the change. */
  readonly by: string;
  /** Whether a path on this machine may be a camera. */
  readonly allowFiles: boolean;
  /** What the input changes; without it a camera is registered anew. */
  readonly previous?: CameraRegistration;
}

/** What is sealed of a camera. */
interface SealedSource {
  readonly url: string;
}

const limits = {
  shapes: 64,
  points: 64,
  nameLength: 100,
  tags: 32,
  tagLength: 200,
  classes: 100,
  priority: 100,
  stallTimeoutMs: [1_000, 3_600_000],
  maxAgeMs: [100, 3_600_000],
} as const;
const shapeIdPattern = /^[a-zA-Z0-9_-]{1,64}$/;

/** The running camera of a registration. Throws SIGHTLINE_SECRET_UNREADABLE, or as createCameraSpec does. */
export function specFromRegistration(registration: CameraRegistration, secretBox: SecretBox): CameraSpec {
  const { camera_id: id, sealed_credentials: sealed, crop, filter, transport } = registration;
  const url = sealed === null ? registration.url : openSource(secretBox, sealed, id).url;
  return createCameraSpec({
    id,
    url,
    allowHttp: registration.allow_http,
    fps: registration.fps,
    filter: filter === 'AUTO' ? 'auto' : 'off',
    transport: transport === 'UDP' ? 'udp' : 'tcp',
    tlsInsecure: registration.tls_insecure,
    ...(crop === null ? {} : { crop }),
    masks: registration.masks.map(({ polygon }) => polygon),
    tags: registration.tags,
    realtime: registration.realtime,
    loop: registration.loop,
    stallTimeoutMs: registration.stall_timeout_ms,
    maxAgeMs: registration.max_age_ms,
    priority: registration.priority,
  });
}

/** Checks what a user said of a camera, on top of what is registered already, and seals its credentials. Throws as createCameraSpec does. */
export function registrationFromInput(
  input: CameraRegistrationInput,
  context: RegistrationContext,
): CameraRegistration {
  const { secretBox, nowUs, by, previous } = context;
  const { camera_id: id } = input;
  const source = sourceOf(input, context);
  // Ours: what a camera is without a word about it stands in createCameraSpec.
  const spec = createCameraSpec({
    id,
    url: source.url,
    allowHttp: input.allow_http ?? previous?.allow_http ?? false,
    ...optional('password', input.password),
    ...optional('fps', input.fps ?? previous?.fps),
    ...optional('filter', lower(input.filter ?? previous?.filter)),
    ...optional('transport', lower(input.transport ?? previous?.transport)),
    ...optional('crop', (input.crop === undefined ? previous?.crop : input.crop) ?? undefined),
    tlsInsecure: input.tls_insecure ?? previous?.tls_insecure ?? false,
    ...optional('realtime', input.realtime ?? previous?.realtime),
    loop: input.loop ?? previous?.loop ?? false,
    ...optional('stallTimeoutMs', input.stall_timeout_ms ?? previous?.stall_timeout_ms),
    ...optional('maxAgeMs', input.max_age_ms ?? previous?.max_age_ms),
  });
  if (spec.source.kind === 'file' && !context.allowFiles) {
    throw new AppError('SIGHTLINE_CAMERA_URL_INVALID', `camera ${id}: a file of this machine is not allowed here`);
  }
  const check = checker(id);
  check.range('stall_timeout_ms', spec.stallTimeoutMs, limits.stallTimeoutMs);
  check.range('max_age_ms', spec.maxAgeMs, limits.maxAgeMs);
  const priority = input.priority ?? previous?.priority ?? 1;
  check.range('priority', priority, [1, limits.priority]);
  const tags = check.tags(input.tags ?? previous?.tags ?? {});
  const shown = spec.source.kind === 'file' ? spec.source.path : spec.source.address.display;
  return {
    camera_id: id,
    enabled: input.enabled ?? previous?.enabled ?? true,
    url: shown,
    sealed_credentials: source.sealed ?? sealedSource(spec, shown, secretBox),
    transport: spec.transport === 'udp' ? 'UDP' : 'TCP',
    fps: spec.fps,
    filter: spec.filter === 'auto' ? 'AUTO' : 'OFF',
    allow_http: input.allow_http ?? previous?.allow_http ?? false,
    tls_insecure: spec.tlsInsecure,
    crop: spec.crop,
    realtime: spec.realtime,
    loop: spec.loop,
    stall_timeout_ms: spec.stallTimeoutMs,
    max_age_ms: spec.maxAgeMs,
    priority,
    tags,
    masks: check.masks('masks', input.masks ?? previous?.masks ?? []),
    zones: check.zones(input.zones ?? previous?.zones ?? []),
    lines: check.lines(input.lines ?? previous?.lines ?? []),
    config_version: previous?.config_version ?? 0,
    created_at: previous?.created_at ?? nowUs,
    updated_at: nowUs,
    updated_by: by,
  };
}

/** The URL that holds from now on. `sealed` is set where it stays as it is: it need not be opened to change something else. */
function sourceOf(
  input: CameraRegistrationInput,
  { previous, secretBox }: RegistrationContext,
): { readonly url: string; readonly sealed?: string } {
  if (input.url !== undefined) {
    // What is shown comes back from a form that was saved: it is not a new address without a password.
    const isShown = input.url === previous?.url && input.password === undefined;
    if (!isShown) return { url: input.url };
  }
  if (previous === undefined) throw invalid(input.camera_id, 'no URL given');
  const { sealed_credentials: sealed } = previous;
  if (input.password === undefined) return { url: previous.url, ...optional('sealed', sealed ?? undefined) };
  return { url: sealed === null ? previous.url : openSource(secretBox, sealed, input.camera_id).url };
}

function sealedSource(spec: CameraSpec, shown: string, secretBox: SecretBox): string | null {
  if (spec.source.kind === 'file') return null;
  const { scheme, host, port, path, credentials } = spec.source.address;
  const { username, password } = credentials?.reveal() ?? { username: '', password: '' };
  const place = `${host.includes(':') ? `[${host}]` : host}:${port}${path}`;
  if (credentials === null && `${scheme}://${place}` === shown) return null;
  const user = credentials === null ? '' : `${encodeURIComponent(username)}:${encodeURIComponent(password)}@`;
  return secretBox.seal(JSON.stringify({ url: `${scheme}://${user}${place}` } satisfies SealedSource), spec.id);
}

function openSource(secretBox: SecretBox, sealed: string, cameraId: string): SealedSource {
  // Sealed by sealedSource: what opens is what was put in.
  return JSON.parse(secretBox.open(sealed, cameraId)) as SealedSource;
}

/** The checks of one camera; each names the setting that is wrong. */
function checker(id: string) {
  const fail = (what: string): never => {
    throw invalid(id, what);
  };
  const range = (name: string, value: number, [lowest, highest]: readonly [number, number]): void => {
    if (!(Number.isInteger(value) && value >= lowest && value <= highest))
      fail(`${name} is a whole number from ${lowest} to ${highest}`);
  };
  const point = (at: string, { x, y }: PointRecord): PointRecord => {
    if (!(x >= 0 && x <= 1 && y >= 0 && y <= 1)) fail(`${at}: points are fractions of the picture, 0 to 1`);
    return { x, y };
  };
  const text = (at: string, value: string): string =>
    value.length > limits.nameLength ? fail(`${at}: at most ${limits.nameLength} characters`) : value;
  const shapes = <Given extends { readonly id: string }, Shape>(
    at: string,
    given: readonly Given[],
    make: (shape: Given, at: string) => Shape,
  ): Shape[] => {
    if (given.length > limits.shapes) fail(`at most ${limits.shapes} ${at}`);
    const seen = new Set<string>();
    return given.map((shape) => {
      if (!shapeIdPattern.test(shape.id)) fail(`${at}: an id has 1 to 64 letters, digits, "_" or "-"`);
      if (seen.has(shape.id)) fail(`${at}: two have the id ${shape.id}`);
      seen.add(shape.id);
      return make(shape, `${at} ${shape.id}`);
    });
  };
  const polygon = (at: string, points: readonly PointRecord[]): PointRecord[] => {
    if (points.length < 3 || points.length > limits.points) fail(`${at}: 3 to ${limits.points} points`);
    return points.map((corner) => point(at, corner));
  };
  const mask = (shape: MaskRecord, at: string): MaskRecord => ({
    id: shape.id,
    name: text(at, shape.name),
    polygon: polygon(at, shape.polygon),
  });
  return {
    range,
    tags(tags: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
      const entries = Object.entries(tags);
      if (entries.length > limits.tags) fail(`at most ${limits.tags} tags`);
      for (const [name, value] of entries)
        if (name === '' || name.length > limits.nameLength || value.length > limits.tagLength)
          fail(`a tag has a name of 1 to ${limits.nameLength} and a value of at most ${limits.tagLength} characters`);
      return tags;
    },
    masks: (at: string, given: readonly MaskRecord[]) => shapes(at, given, mask),
    zones: (given: readonly ZoneRecord[]) =>
      shapes('zones', given, (shape, at): ZoneRecord => {
        if (shape.classes.length > limits.classes) fail(`${at}: at most ${limits.classes} classes`);
        return { ...mask(shape, at), classes: shape.classes.map((name) => text(at, name)) };
      }),
    lines: (given: readonly LineRecord[]) =>
      shapes('lines', given, (line, at): LineRecord => {
        const from = point(at, line.from);
        const to = point(at, line.to);
        if (from.x === to.x && from.y === to.y) fail(`${at}: a line has two ends`);
        const names = { name: text(at, line.name), a_to_b: text(at, line.a_to_b), b_to_a: text(at, line.b_to_a) };
        return { id: line.id, ...names, from, to };
      }),
  };
}

function lower<Text extends string>(text: Text | undefined): Exclude<Lowercase<Text>, 'unknown'> | undefined {
  if (text === undefined || text === 'UNKNOWN') return undefined;
  // toLowerCase is Lowercase, which its type does not say.
  return text.toLowerCase() as Exclude<Lowercase<Text>, 'unknown'>;
}

function optional<Name extends string, Value>(
  name: Name,
  value: Value | undefined,
): Readonly<Partial<Record<Name, Value>>> {
  // The compiler does not follow a computed name.
  return (value === undefined ? {} : { [name]: value }) as Readonly<Partial<Record<Name, Value>>>;
}

function invalid(id: string, what: string): AppError {
  return new AppError('SIGHTLINE_CONFIG_INVALID', `camera ${id}: ${what}`);
}
