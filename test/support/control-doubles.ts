import type { CameraStatus, DetectionFrame } from '#schemas';
import { AppError } from '#shared/core/errors';
import { createRolloutController } from '#shared/core/rollout/rollout-controller';
import { createMemoryRolloutLog } from '#shared/core/rollout/rollout-log';
import { systemClock } from '#shared/runtime/system-clock';
import { chainStart, linkEntry, type AuditEntry } from '../../services/control/core/audit-chain.ts';
import type {
  CameraDirectory,
  CameraDraft,
  CameraEntry,
  CameraFinder,
  LiveFeed,
  ModelCatalogue,
  ModelEntry,
  ProbeCamera,
  ProbeVerdict,
  TokenStore,
} from '../../services/control/core/ports.ts';
import type { IdentityProvider } from '../../services/control/core/identity.ts';
import type { StoredToken } from '../../services/control/core/tokens.ts';
import { createToken } from '../../services/control/core/tokens.ts';
import type { Role } from '../../services/control/core/access.ts';
import { openEventStore } from '../../services/control/adapters/sqlite/event-store.ts';
import { EventRecorder } from '../../services/control/core/events/event-recorder.ts';
import { EventStills } from '../../services/control/core/events/event-stills.ts';
import { streamTemplates } from '../../services/ingest/core/stream-templates.ts';
import { createApiServer, type ApiServer } from '../../services/control/adapters/http/server.ts';
import { silentLogger } from './ingest-doubles.ts';
import { makeModelRef } from './rollout-doubles.ts';

export class MemoryCameras implements CameraDirectory {
  readonly drafts = new Map<string, CameraDraft>();
  readonly #entries = new Map<string, CameraEntry>();

  list(): readonly CameraEntry[] {
    return [...this.#entries.values()].sort((a, b) => (a.id < b.id ? -1 : 1));
  }

  get(id: string): CameraEntry | undefined {
    return this.#entries.get(id);
  }

  check({ url }: CameraDraft): void {
    if (url.startsWith('gopher:')) throw new AppError('SIGHTLINE_CAMERA_URL_INVALID', 'not a camera URL');
  }

  async create(draft: CameraDraft): Promise<CameraEntry> {
    this.check(draft);
    const { id, url, password, ...options } = draft;
    const entry: CameraEntry = {
      ...{ id, url: url.replace(/\/\/.*@/, '//'), has_credentials: password !== undefined || url.includes('@') },
      ...{ enabled: true, fps: 5, filter: 'off', transport: 'tcp', tls_insecure: false, crop: null, tags: {} },
      ...{
        stall_timeout_s: 15,
        max_age_s: 2,
        loop: false,
        realtime: true,
        priority: 1,
        allow_http: false,
        geometry: { zones: [], lines: [], masks: [] },
      },
      ...options,
      ...{ origin: 'api', version: 1, created_at: '2026-01-01T00:00:00Z', updated_at: '2026-01-01T00:00:00Z' },
    };
    this.drafts.set(id, draft);
    this.#entries.set(id, entry);
    return entry;
  }

  async update(id: string, patch: Partial<CameraDraft>, expected?: number): Promise<CameraEntry> {
    const before = this.#found(id, expected);
    const { url, password: _password, ...options } = patch;
    const entry = {
      ...before,
      ...options,
      ...(url === undefined ? {} : { url: url.replace(/\/\/.*@/, '//') }),
      version: before.version + 1,
    };
    this.#entries.set(id, entry);
    return entry;
  }

  async remove(id: string, expected?: number): Promise<void> {
    this.#found(id, expected);
    this.#entries.delete(id);
  }

  draftOf(id: string): CameraDraft | undefined {
    return this.drafts.get(id);
  }

  #found(id: string, expected?: number): CameraEntry {
    const entry = this.#entries.get(id);
    if (entry === undefined) throw new AppError('SIGHTLINE_CAMERA_UNKNOWN', 'no such camera');
    if (expected !== undefined && expected !== entry.version) throw new AppError('SIGHTLINE_CAMERA_CHANGED', 'changed');
    return entry;
  }
}

export function memoryTokens(): TokenStore {
  const tokens = new Map<string, StoredToken>();
  return {
    list: () => [...tokens.values()].sort((a, b) => (a.id < b.id ? -1 : 1)),
    get: (id) => tokens.get(id),
    put: (token) => void tokens.set(token.id, token),
    remove: (id) => tokens.delete(id),
  };
}

export const usable: ProbeVerdict = {
  ...{
    usable: true,
    reason_code: 'NONE',
    reason_text: 'h264 640x480',
    action: null,
    advice: [],
    target: 'rtsp://camera/',
  },
  ...{ codec: 'h264', width_px: 640, height_px: 480, declared_fps: 25, measured_fps: 25, keyframe_interval_ms: 1000 },
  ...{ clock_source: 'ARRIVAL', clock_offset_ms: null, transport: 'tcp', is_encrypted: false, auth_scheme: 'digest' },
  ...{
    server_name: null,
    packet_loss_ratio: null,
    steps: [{ step: 'dns', ok: true, duration_ms: 1, detail: 'ok' }],
    duration_ms: 5,
  },
};
export const unusable: ProbeVerdict = {
  ...usable,
  ...{
    usable: false,
    reason_code: 'AUTH',
    reason_text: 'the camera refused the password',
    action: 'Check the password.',
  },
};

export interface TestApi extends ApiServer {
  readonly cameras: MemoryCameras;
  readonly events: EventRecorder;
  readonly audit: AuditEntry[];
  readonly emit: (record: DetectionFrame) => void;
  readonly logged: unknown[];
  tokenOf(role: Role, cameras?: readonly string[] | null, expiresAtMs?: number | null): string;
}

export interface TestApiOptions {
  readonly verdict?: ProbeVerdict;
  readonly cores?: number;
  readonly requestsPerMinute?: number;
  readonly requestTimeoutMs?: number;
  /** In place of doubles that know nothing. */
  readonly live?: LiveFeed;
  readonly directory?: CameraDirectory;
  readonly identity?: IdentityProvider;
  readonly probe?: ProbeCamera;
  readonly finder?: CameraFinder;
}

/** Two versions of a model, the first one active, and nobody who would have to load them. */
async function testModels(): Promise<ModelCatalogue> {
  const rollout = createRolloutController({
    log: createMemoryRolloutLog(),
    judges: false,
    // Its watch on the gate would outlive the test.
    clock: { ...systemClock, sleep: () => new Promise(() => undefined) },
    logger: silentLogger,
  });
  const entry = (version: string): ModelEntry => ({
    ...makeModelRef('yolox-nano', version),
    ...{
      family: 'yolox',
      inputWidthPx: 416,
      inputHeightPx: 416,
      labels: ['person'],
      precision: 'FP32',
      licence: 'MIT',
    },
  });
  await rollout.open({ model: makeModelRef('yolox-nano', '1'), when: 'always' });
  return { list: async () => [entry('1'), entry('2')], rollout };
}

/** The real server on doubles of what it stands on. */
export async function startTestApi(options: TestApiOptions = {}): Promise<TestApi> {
  const cameras = new MemoryCameras();
  const tokens = memoryTokens();
  const audit: AuditEntry[] = [];
  const results = new Set<(record: DetectionFrame) => void>();
  const quiet: LiveFeed = {
    status: (): CameraStatus | undefined => undefined,
    figures: () => ({
      received_fps: 5,
      analysed_fps: 4.5,
      newest_capture_time: 1_767_225_600_000_000,
      frames_received: 10,
      frames_analysed: 9,
      frames_filtered: 0,
      frames_dropped: 1,
      frames_expired: 0,
      frames_failed: 0,
      drops_by_reason: { ring_full: 1 },
      decode_errors: 0,
    }),
    history: () => [],
    onResult(listener) {
      results.add(listener);
      return { close: () => void results.delete(listener) };
    },
    onStatus: () => ({ close: () => {} }),
    nextPicture: async () => undefined,
  };
  const nowUs = (): number => systemClock.nowUs();
  const events = new EventRecorder({
    store: openEventStore({ path: ':memory:', maxCount: 1_000, maxAgeMs: 86_400_000, nowUs }),
    stills: new EventStills(options.live ?? quiet),
    ...{ nowUs, logger: silentLogger },
  });
  const logged: unknown[] = [];
  const models = await testModels();
  const server = await createApiServer({
    requestsPerMinute: options.requestsPerMinute ?? 100_000,
    requestTimeoutMs: options.requestTimeoutMs ?? 10_000,
    ports: {
      cameras: options.directory ?? cameras,
      live: options.live ?? quiet,
      events,
      tokens,
      identity: options.identity ?? null,
      probe:
        options.probe ??
        (async ({ onStep }) => {
          const verdict = options.verdict ?? usable;
          for (const step of verdict.steps) onStep?.(step);
          return verdict;
        }),
      finder: options.finder ?? {
        discover: async () => [
          {
            ...{ address: '192.0.2.7', port: 80, path: '/onvif/device_service', urn: 'urn:uuid:1', name: 'Yard cam' },
            ...{ hardware: 'X-100', location: null },
          },
        ],
        profiles: async ({ host, password }) => {
          if (password === 'wrong') throw new AppError('SIGHTLINE_CAMERA_AUTH', 'refused');
          const profile = { token: 'p1', name: 'sub', codec: 'H264', width_px: 640, height_px: 360, fps: 15 };
          const profiles = [{ ...profile, url: `rtsp://${host}/sub` }];
          return { manufacturer: 'Acme', model: 'X-100', firmware: null, profiles };
        },
        templates: streamTemplates,
      },
      audit: {
        append(fact) {
          const entry = linkEntry(fact, audit.at(-1) ?? chainStart);
          audit.push(entry);
          return entry;
        },
        newest: (limit, before = Infinity) =>
          audit
            .filter(({ seq }) => seq < before)
            .reverse()
            .slice(0, limit),
        following: (limit, after) => audit.filter(({ seq }) => seq > after).slice(0, limit),
        all: () => audit,
      },
      system: {
        facts: () => ({
          ...{ version: '0', mode: 'embedded', started_at: '2026-01-01T00:00:00Z', model: null, results: 'results' },
          ...{ topics: [], services: [] },
        }),
        load: () => ({ cores: options.cores ?? 64, cpuMsPerFrame: 30, isMeasured: false }),
      },
      models,
      schemas: [],
      readiness: () => ({ ready: true }),
      metricsText: async () => ({ contentType: 'text/plain', body: '' }),
      clock: systemClock,
      logger: { ...silentLogger, error: (...told: unknown[]) => void logged.push(told) },
    },
  });
  return {
    ...server,
    cameras,
    events,
    audit,
    logged,
    emit: (record) => {
      for (const listener of results) listener(record);
    },
    tokenOf(role, scope = null, expiresAtMs = null) {
      const { text, stored } = createToken({ name: role, role, cameras: scope, expiresAtMs }, Date.now());
      tokens.put(stored);
      return text;
    },
  };
}
