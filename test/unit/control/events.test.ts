import { afterEach, describe, expect, onTestFinished, test, vi } from 'vitest';
import type { CameraStatus, DriftState } from '#schemas';
import { systemClock } from '#shared/runtime/system-clock';
import { openEventStore } from '../../../services/control/adapters/sqlite/event-store.ts';
import { EventRecorder } from '../../../services/control/core/events/event-recorder.ts';
import { EventStills } from '../../../services/control/core/events/event-stills.ts';
import { parseKinds } from '../../../services/control/core/events/event-kinds.ts';
import { listen } from '../../../services/control/adapters/http/server.ts';
import { readEvents } from '../../../cli/api/event-reader.ts';
import { startTestApi, type TestApi } from '../../support/control-doubles.ts';
import { silentLogger } from '../../support/ingest-doubles.ts';
import { registration } from '../../support/registrations.ts';
import { makeModelRef } from '../../support/rollout-doubles.ts';

vi.setConfig({ testTimeout: 30_000 });

const startUs = systemClock.nowUs();
const all = { visible: null };
let made = 0;

function status(cameraId: string, state: CameraStatus['state'], more: Partial<CameraStatus> = {}): CameraStatus {
  made++;
  return {
    ...{ message_id: `00000000-0000-5000-8000-${String(made).padStart(12, '0')}`, camera_id: cameraId, epoch: 1 },
    ...{ frame_seq: 0, time: startUs + made, state, previous_state: 'UNKNOWN', state_since: 0, reason_code: 'NONE' },
    ...{ reason_text: '', codec: null, width_px: null, height_px: null, declared_fps: null, measured_fps: null },
    ...{ clock_source: 'ARRIVAL', reconnect_count: 0, next_retry_at: null, backoff_ms: null, last_frame_time: null },
    ...{ time_to_first_result_ms: null, producer: { service: 'ingest', instance_id: '', version: '' }, tags: {} },
    ...more,
  };
}

function driftState(cameraId: string, changes: DriftState['changes']): DriftState {
  const empty = { reference: [], slots: [] };
  return {
    ...{ camera_id: cameraId, time: startUs, model_digest: 'a', window_ms: 1, slot: 0, slot_start: 0, slots_filled: 0 },
    ...{ has_reference: true, frames: empty, brightness: empty, classes: [], drifting: [], changes },
  };
}

function recorder(options: { maxCount?: number; maxAgeMs?: number; nowUs?: () => number; path?: string } = {}) {
  const { nowUs = () => startUs, maxCount = 1_000, maxAgeMs = 3_600_000, path = ':memory:' } = options;
  const store = openEventStore({ path, maxCount, maxAgeMs, nowUs });
  const picture = new Uint8Array([0xff, 0xd8]);
  const stills = new EventStills({
    nextPicture: async (id) => (id === 'dark' ? undefined : { jpeg: picture, result: undefined as never }),
  });
  const events = new EventRecorder({ store, stills, nowUs, logger: silentLogger });
  onTestFinished(() => events.close());
  return events;
}

const told = (events: EventRecorder, limit = 100): readonly string[] =>
  events.newest(all, limit).map(({ cameraId, kind, summary }) => `${cameraId ?? '-'} ${kind} ${summary}`);

describe('what becomes an event', () => {
  test('a change of state is one, with its reason; being tried is none, and failing again for the same reason neither', () => {
    const events = recorder();
    const lost = { reason_code: 'REFUSED', reason_text: 'nothing listens there' } as const;
    events.status(status('door', 'CONNECTING'));
    events.status(status('door', 'ONLINE'));
    for (let tried = 0; tried < 3; tried++) {
      events.status(status('door', 'OFFLINE', lost));
      events.status(status('door', 'CONNECTING'));
    }
    events.status(status('door', 'OFFLINE', { reason_code: 'AUTH', reason_text: 'the password was refused' }));
    events.status(status('door', 'ONLINE'));
    expect(told(events)).toEqual([
      'door camera.online frames arrive',
      'door camera.offline the password was refused',
      'door camera.offline nothing listens there',
      'door camera.online frames arrive',
    ]);
    expect(events.newest(all, 2)[1]).toMatchObject({ reasonCode: 'AUTH' });
  });

  test('registrations tell what was changed by name and never by value; one that is told again is the same', () => {
    const events = recorder();
    const first = { ...registration({ camera_id: 'door', url: 'rtsp://192.0.2.1/' }), config_version: 1 };
    const times = { created_at: startUs, updated_at: startUs };
    const changed = {
      ...first,
      ...times,
      config_version: 2,
      fps: 2,
      url: 'rtsp://192.0.2.7/',
      sealed_credentials: 'x',
    };
    for (const one of [{ ...first, ...times }, { ...first, ...times }, changed, changed])
      events.registration({ cameraId: 'door', registration: one });
    events.registration({ cameraId: 'door', registration: null });
    events.registration({ cameraId: 'door', registration: null });
    expect(told(events)).toEqual([
      'door registration.removed removed',
      'door registration.changed changed: url, sealed_credentials, fps'.replace('sealed_credentials', 'credentials'),
      'door registration.added registered',
    ]);
    expect(JSON.stringify(events.newest(all, 9))).not.toContain('192.0.2.7');
  });

  test('steps of roll-outs are events of no camera, and a failed gate is one of its own', () => {
    const events = recorder();
    const step = { share: 0.1, cameras: null, gate: null, model: makeModelRef('yolox-nano', '2'), timeUs: startUs };
    events.step({ ...step, revision: 1, action: 'canary', by: 'ann', reason: 'tried on a share of cameras' });
    events.step({ ...step, revision: 2, action: 'rollback', by: 'gate', reason: 'gate: too slow' });
    events.step({ ...step, revision: 2, action: 'rollback', by: 'gate', reason: 'gate: too slow' });
    expect(told(events)).toEqual([
      '- model.gate_failed yolox-nano@2: gate: too slow',
      '- model.canary yolox-nano@2: tried on a share of cameras',
    ]);
  });

  test('a drift is an event of its camera, and says of what', () => {
    const events = recorder();
    const news = { cameraId: 'door', psi: 0.31234, modelDigest: 'a', timeMs: startUs / 1000 } as const;
    events.drift({ ...news, className: 'person', measure: 'scores', change: 'started' });
    events.drift({ ...news, className: null, measure: 'brightness', change: 'ended' });
    expect(told(events)).toEqual([
      'door drift.ended brightness: as it was before (PSI 0.312)',
      'door drift.started scores of person: what it shows, or what the model sees there, is not what it was (PSI 0.312)',
    ]);
  });

  test('the drifts of a topic are told once each, however often a state brings them along', () => {
    const events = recorder();
    const change = (after: number, more: Partial<DriftState['changes'][number]>): DriftState['changes'][number] => ({
      ...{
        time: startUs + after,
        model_digest: 'a',
        measure: 'SCORES',
        class_name: 'person',
        psi: 0.5,
        is_over: false,
      },
      ...more,
    });
    const both = { time: startUs, measure: 'BRIGHTNESS', class_name: null } as const;
    const changes = [change(0, {}), change(0, both), change(1_000, { is_over: true, psi: 0.05 })];
    for (const count of [0, 1, 2, 2, 3, 3])
      events.driftState(driftState('door', [...changes.slice(0, count), change(2_000, { measure: 'UNKNOWN' })]));
    events.driftState(driftState('gate', changes.slice(1, 2)));
    expect(told(events).map((line) => line.replace(/:.*/, ''))).toEqual([
      'door drift.ended scores of person',
      'gate drift.started brightness',
      'door drift.started brightness',
      'door drift.started scores of person',
    ]);
  });

  test('kinds are asked for by name or group, and a wrong name is told with the one that was meant', () => {
    expect(parseKinds('camera.online, model.gate_failed')).toEqual(['camera.online', 'model.gate_failed']);
    expect(parseKinds('registration')).toHaveLength(3);
    expect(() => parseKinds('camera.onlien')).toThrow('camera.online perhaps');
  });
});

describe('what is kept', () => {
  test('where there are too many the oldest of the camera with the most go, so that a noisy one costs no other its past', () => {
    const events = recorder({ maxCount: 100 });
    events.status(status('quiet', 'ONLINE'));
    for (let turn = 0; turn < 400; turn++)
      events.status(status('noisy', turn % 2 === 0 ? 'ONLINE' : 'OFFLINE', { reason_code: 'STALLED' }));
    const kept = events.newest(all, 1_000);
    expect(kept.length).toBeLessThan(100 + 256);
    expect(kept.at(-1)?.cameraId).toBe('quiet');
    expect(kept[0]?.seq).toBe(401);
  });

  test('what is older than the time that is kept goes, and is not taken up again', () => {
    let nowUs = startUs;
    const events = recorder({ nowUs: () => nowUs, maxAgeMs: 1_000 });
    const old = status('door', 'ONLINE');
    events.status(old);
    nowUs += 2_000_000;
    for (let turn = 0; turn < 256; turn++) events.status(status(`c${turn}`, 'ONLINE', { time: nowUs }));
    // Another process' memory of it is younger than the file's.
    events.registration({ cameraId: 'door', registration: null });
    events.status(old);
    expect(events.newest({ visible: ['door'] }, 9)).toEqual([]);
  });

  test('a still belongs to its event and camera, and goes with the camera', async () => {
    const events = recorder();
    events.status(status('door', 'ONLINE'));
    events.status(status('dark', 'ONLINE'));
    const [dark, door] = events.newest(all, 2);
    await vi.waitFor(() => expect(events.hasStill(door?.id ?? '')).toBe(true));
    expect(events.hasStill(dark?.id ?? '')).toBe(false);
    expect(events.still(door?.id ?? '', 'dark')).toBeUndefined();
    expect(events.still(door?.id ?? '', 'door')).toHaveLength(2);
    events.registration({ cameraId: 'door', registration: null });
    expect(events.hasStill(door?.id ?? '')).toBe(false);
  });

  test('the stills of a camera go when its masks change, and stay when something else does', async () => {
    const events = recorder();
    const first = { ...registration({ camera_id: 'door', url: 'rtsp://192.0.2.1/' }), config_version: 1 };
    events.registration({ cameraId: 'door', registration: first });
    events.status(status('door', 'ONLINE'));
    const [online] = events.newest(all, 1);
    await vi.waitFor(() => expect(events.hasStill(online?.id ?? '')).toBe(true));
    const renamed = { ...first, fps: 2, config_version: 2 };
    events.registration({ cameraId: 'door', registration: renamed });
    expect(events.hasStill(online?.id ?? '')).toBe(true);
    const polygon = [0, 1, 2].map((at) => ({ x: at / 2, y: at === 1 ? 1 : 0 }));
    const masked = { ...renamed, masks: [{ id: 'm', name: '', polygon }], config_version: 3 };
    events.registration({ cameraId: 'door', registration: masked });
    expect(events.hasStill(online?.id ?? '')).toBe(false);
  });

  test('that they cannot be kept is told once and stops nothing', () => {
    const events = recorder();
    events.close();
    expect(() => events.status(status('door', 'ONLINE'))).not.toThrow();
  });
});

describe('by the API', () => {
  let api: TestApi | undefined;
  afterEach(async () => {
    await api?.app.close();
  });

  interface Page {
    readonly items: readonly { camera_id: string; kind: string; seq: number }[];
    readonly next_cursor: string | null;
  }

  async function get(
    of: TestApi,
    path: string,
    token: string,
  ): Promise<{ readonly status: number; readonly body: Page }> {
    const answer = await of.app.inject({ method: 'GET', url: path, headers: { authorization: `Bearer ${token}` } });
    return { status: answer.statusCode, body: answer.json<Page>() };
  }

  test('pages follow each other without a gap, filters hold, and a token of some cameras gets theirs alone', async () => {
    api = await startTestApi();
    for (const id of ['a', 'b', 'c', 'd', 'e']) api.events.status(status(id, 'ONLINE', { time: startUs }));
    api.events.status(status('a', 'OFFLINE', { reason_code: 'STALLED', time: startUs + 60_000_000 }));
    const step = { share: 1, cameras: null, gate: null, model: makeModelRef('yolox-nano', '1'), timeUs: startUs };
    api.events.step({ ...step, revision: 1, action: 'activate', by: 'start', reason: '' });
    const viewer = api.tokenOf('viewer');
    const seen: number[] = [];
    for (let path: string | undefined = '/api/v1/events?limit=2'; path !== undefined;) {
      const { body }: Awaited<ReturnType<typeof get>> = await get(api, path, viewer);
      seen.push(...body.items.map(({ seq }) => seq));
      path = body.next_cursor === null ? undefined : `/api/v1/events?limit=2&cursor=${body.next_cursor}`;
    }
    expect(seen.toSorted()).toEqual([1, 2, 3, 4, 5, 6, 7]);
    expect(seen[0]).toBe(6);
    const since = new Date(startUs / 1000 + 1_000).toISOString();
    expect((await get(api, `/api/v1/events?since=${since}`, viewer)).body.items).toHaveLength(1);
    expect((await get(api, `/api/v1/events?until=${since}&kind=camera`, viewer)).body.items).toHaveLength(5);
    expect((await get(api, '/api/v1/events?camera=a', viewer)).body.items.map(({ kind }) => kind)).toEqual([
      ...['camera.offline', 'camera.online'],
    ]);
    const some = api.tokenOf('viewer', ['b']);
    expect((await get(api, '/api/v1/events', some)).body.items.map(({ camera_id: id }) => id)).toEqual(['b']);
    expect((await get(api, '/api/v1/events?camera=a', some)).status).toBe(404);
    for (const wrong of ['kind=nonsense', 'since=yesterday', 'since=2026-13-41T00:00:00Z', 'cursor=x', 'limit=0'])
      expect((await get(api, `/api/v1/events?${wrong}`, viewer)).status, wrong).toBe(400);
  });

  test('a listener is told what happens, and what it missed when it comes back', async () => {
    api = await startTestApi();
    const url = await listen(api.app, { host: '127.0.0.1', port: 0 });
    const headers = { authorization: `Bearer ${api.tokenOf('viewer', ['a'])}`, accept: 'text/event-stream' };
    api.events.status(status('a', 'ONLINE'));
    const open = async (more: Readonly<Record<string, string>>, query = '') => {
      const stopped = new AbortController();
      const answer = await fetch(`${url}/api/v1/events${query}`, {
        headers: { ...headers, ...more },
        signal: stopped.signal,
      });
      if (answer.body === null) throw new Error('no stream');
      return { events: readEvents(answer.body)[Symbol.asyncIterator](), stop: () => stopped.abort() };
    };
    const first = await open({});
    api.events.status(status('b', 'ONLINE'));
    api.events.status(status('a', 'OFFLINE', { reason_code: 'STALLED' }));
    const { value } = await first.events.next();
    expect(JSON.parse(value?.data ?? '')).toMatchObject({ camera_id: 'a', kind: 'camera.offline', seq: 3 });
    first.stop();
    const again = await open({ 'last-event-id': '1' });
    expect(JSON.parse((await again.events.next()).value?.data ?? '')).toMatchObject({ seq: 3 });
    again.stop();
    const since = await open({}, `?since=${new Date(startUs / 1000 - 1_000).toISOString()}&kind=camera.online`);
    expect(JSON.parse((await since.events.next()).value?.data ?? '')).toMatchObject({ seq: 1 });
    since.stop();
  });
});
