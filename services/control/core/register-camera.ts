import { AppError } from '#shared/core/errors';
import { estimateCost, planCapacity, type Capacity, type CostEstimate } from './capacity.ts';
import type {
  CameraDirectory,
  CameraDraft,
  CameraEntry,
  CameraPatch,
  ProbeCamera,
  ProbeStep,
  ProbeVerdict,
  SystemPort,
} from './ports.ts';
import { RequestFailure } from './request-failure.ts';

export interface RegistrationPorts {
  readonly cameras: CameraDirectory;
  readonly probe: ProbeCamera;
  readonly system: SystemPort;
}

export interface Judgement {
  readonly verdict: ProbeVerdict | null;
  readonly cost: CostEstimate | null;
  readonly capacity: Capacity | null;
}

export interface JudgeOptions {
  readonly probe: boolean;
  readonly signal: AbortSignal;
  readonly onStep?: (step: ProbeStep) => void;
}

/** Answers come within 5 s: what is left of them is for the way there and back. */
const probeTimeoutMs = 4_500;
const defaultFps = 5;
/** Refused whatever the caller says: these are rules of the operator, not troubles of a camera. */
const neverSaved: ReadonlySet<string> = new Set(['NOT_ALLOWED', 'POLICY']);

/** Whether a camera can be used and what it would cost; keeps nothing. */
export async function judgeCamera(
  ports: RegistrationPorts,
  draft: Pick<CameraDraft, 'url' | 'password' | 'transport' | 'tls_insecure' | 'fps' | 'allow_http'> & {
    readonly id?: string;
  },
  { probe, signal, onStep }: JudgeOptions,
): Promise<Judgement> {
  const { url, password, transport = 'tcp', tls_insecure: tlsInsecure = false, fps = defaultFps } = draft;
  const { allow_http: allowHttp } = draft;
  const verdict = probe
    ? await ports.probe({
        url,
        transport,
        tlsInsecure,
        signal,
        timeoutMs: probeTimeoutMs,
        ...(password === undefined ? {} : { password }),
        ...(allowHttp === undefined ? {} : { allowHttp }),
        ...(onStep === undefined ? {} : { onStep }),
      })
    : null;
  const load = ports.system.load();
  if (load === null) return { verdict, cost: null, capacity: null };
  const others = ports.cameras.list().filter((camera) => camera.enabled && camera.id !== draft.id);
  const capacity = planCapacity(
    load,
    others.map((camera) => camera.fps),
  );
  return { verdict, cost: estimateCost(load, capacity, fps), capacity };
}

/**
 * Tries a camera and keeps it when it can be used and there is room for it; otherwise throws with the verdict or the numbers.
 * `saveAnyway` keeps it all the same, except where the address is forbidden.
 */
export async function registerCamera(
  ports: RegistrationPorts,
  draft: CameraDraft,
  options: JudgeOptions & { readonly saveAnyway: boolean },
): Promise<Judgement & { readonly camera: CameraEntry }> {
  ports.cameras.check(draft);
  // Before it is tried: a name that is taken need not cost five seconds.
  if (ports.cameras.get(draft.id) !== undefined) throw cameraExists(draft.id);
  const judgement = await judgeCamera(ports, draft, options);
  refuseUnfit(judgement, { saveAnyway: options.saveAnyway, needsRoom: draft.enabled !== false });
  return { ...judgement, camera: await ports.cameras.create(draft) };
}

/** What a change of one of these leads to is another stream, and has to be tried. */
const streamSettings = ['transport', 'tls_insecure', 'allow_http'] as const;

/**
 * Changes a camera. Where it would be read in another way it is tried first, and where it would cost more there has to be room for it;
 * otherwise this throws as `registerCamera` does. A change of anything else is simply kept.
 */
export async function changeCamera(
  ports: RegistrationPorts,
  id: string,
  patch: CameraPatch,
  options: JudgeOptions & { readonly saveAnyway: boolean; readonly expectedVersion: number | undefined },
): Promise<CameraEntry> {
  const { saveAnyway, expectedVersion } = options;
  const before = ports.cameras.get(id);
  if (before === undefined) throw cameraUnknown(id);
  const isOn = patch.enabled ?? before.enabled;
  const isNewSource = patch.url !== undefined && patch.url !== before.url;
  const isOtherStream =
    isNewSource ||
    patch.password !== undefined ||
    streamSettings.some((name) => patch[name] !== undefined && patch[name] !== before[name]);
  const needsRoom = isOn && (!before.enabled || (patch.fps ?? before.fps) > before.fps);
  // What is refused by the directory itself (of the settings file, changed meanwhile) need not cost five seconds.
  const isRefused = before.origin === 'file' || (expectedVersion !== undefined && expectedVersion !== before.version);
  if (!isRefused && isOn && (isOtherStream || needsRoom)) {
    // What is sealed is opened only where it is used.
    const known = isOtherStream && !isNewSource ? ports.cameras.draftOf(id) : before;
    if (known === undefined) throw cameraUnknown(id);
    const { url = known.url } = isNewSource ? patch : {};
    const draft = { ...known, ...patch, id, url };
    if (isNewSource) ports.cameras.check(draft);
    const judgement = await judgeCamera(ports, draft, { ...options, probe: options.probe && isOtherStream });
    refuseUnfit(judgement, { saveAnyway, needsRoom });
  }
  return ports.cameras.update(id, patch, expectedVersion);
}

function refuseUnfit(
  judgement: Judgement,
  { saveAnyway, needsRoom }: { readonly saveAnyway: boolean; readonly needsRoom: boolean },
): void {
  const { verdict, cost, capacity } = judgement;
  if (verdict !== null && !verdict.usable) {
    if (neverSaved.has(verdict.reason_code)) {
      throw new RequestFailure('SIGHTLINE_CAMERA_NOT_ALLOWED', verdict.reason_text, { ...judgement });
    }
    if (!saveAnyway) {
      throw new RequestFailure(
        'SIGHTLINE_CAMERA_NOT_USABLE',
        verdict.reason_text,
        { ...judgement },
        verdict.action ?? undefined,
      );
    }
  }
  if (cost?.fits === false && needsRoom && !saveAnyway) {
    throw new RequestFailure(
      'SIGHTLINE_CAPACITY_EXHAUSTED',
      `the camera needs ${cost.cores} processors' time, ${capacity?.free_cores ?? 0} of ${capacity?.cores ?? 0} are left`,
      { ...judgement },
    );
  }
}

export function cameraExists(id: string): AppError {
  return new AppError('SIGHTLINE_CAMERA_EXISTS', `there is a camera ${id} already`);
}

export function cameraUnknown(id: string): AppError {
  return new AppError('SIGHTLINE_CAMERA_UNKNOWN', `there is no camera ${id}`);
}
