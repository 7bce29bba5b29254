/**
 * How long cameras are without frames when their ingest is killed, step by step: `node loadtest/bench/ingest-takeover.ts [--kills N] [--cameras N]
 * [--lease S]`. Real cameras by RTSP, a broker of its own, two ingests; another takes the place of each that was killed.
 */
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs, promisify } from 'node:util';
import { followTopic } from '#shared/bus/kafka/follow-topic';
import { systemClock } from '#shared/runtime/system-clock';
import { renderDemoScene } from '../../cli/demo/demo-scene.ts';
import { initialise } from '../../cli/service/init.ts';
import { startKafka } from '../../test/support/kafka-server.ts';
import { startRtspServer } from '../../test/support/rtsp-server.ts';
import { connect, settingsOf, stderrLogger, type LoadMeeting } from '../load/load-connection.ts';
import { LoadProcess } from '../load/load-process.ts';
import { startLoadRegistry } from '../load/load-registry.ts';

const { values } = parseArgs({
  options: {
    kills: { type: 'string', default: '5' },
    cameras: { type: 'string', default: '6' },
    lease: { type: 'string', default: '3' },
  },
});
const [kills, cameraCount] = [Number(values.kills), Number(values.cameras)];
const waitLimitMs = 60_000;
const pause = (delayMs: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, delayMs));

/** What is known of a camera; times of the wall clock in ms. */
interface Seen {
  owner: string;
  epoch: number;
  takenMs: number;
  claimedMs: number;
  onlineMs: number;
  lastFrameMs: number;
  /** The last frame of the epoch before, and the first of this one. */
  gap: { readonly fromMs: number; readonly toMs: number };
}

const seen = new Map<string, Seen>();
const ingests: LoadProcess[] = [];
const undo: (() => Promise<void>)[] = [];

function ofCamera(id: string): Seen {
  let camera = seen.get(id);
  if (camera === undefined) {
    camera = {
      owner: '',
      epoch: 0,
      takenMs: 0,
      claimedMs: 0,
      onlineMs: 0,
      lastFrameMs: 0,
      gap: { fromMs: 0, toMs: 0 },
    };
    seen.set(id, camera);
  }
  return camera;
}

/** A line of an ingest's log. */
function heard(owner: string, line: string): void {
  if (!line.includes('"camera":')) return;
  // Lines of our own logger.
  const { camera, msg, state } = JSON.parse(line) as { camera: string; msg: string; state?: string };
  const at = ofCamera(camera);
  const nowMs = Date.now();
  if (msg === 'taking the camera') [at.owner, at.takenMs] = [owner, nowMs];
  else if (msg === 'camera state' && state === 'CONNECTING') at.claimedMs = nowMs;
  else if (msg === 'camera state' && state === 'ONLINE') at.onlineMs = nowMs;
}

async function until(what: string, isSo: () => boolean): Promise<void> {
  const deadlineMs = Date.now() + waitLimitMs;
  while (!isSo()) {
    if (Date.now() > deadlineMs) throw new Error(`${what} did not happen`);
    await pause(50);
  }
}

const figures = (list: readonly number[]): string => {
  const sorted = [...list].sort((a, b) => a - b);
  return `${(sorted[Math.floor(sorted.length / 2)] ?? 0).toFixed(0).padStart(6)} ${(sorted.at(-1) ?? 0).toFixed(0).padStart(6)}`;
};

async function main(): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'sightline-takeover-'));
  undo.push(() => rm(folder, { recursive: true, force: true }));
  const [scene, clip] = [join(folder, 'scene.mp4'), join(folder, 'clip.mp4')];
  await renderDemoScene('ffmpeg', scene);
  const encoder = ['-c:v', 'libx264', '-preset', 'ultrafast', '-bf', '0', '-g', '20'];
  await promisify(execFile)('ffmpeg', ['-v', 'error', '-nostdin', '-y', '-i', scene, ...encoder, clip]);
  const kafka = await startKafka({});
  undo.push(() => kafka.stop());
  const registry = await startLoadRegistry();
  undo.push(() => registry.close());
  const meeting: LoadMeeting = {
    brokers: kafka.brokers,
    registryUrl: registry.url,
    prefix: `takeover-${randomBytes(4).toString('hex')}`,
    partitions: 12,
    sessionSeconds: 6,
  };
  const connection = await connect(meeting);
  undo.push(() => connection.close());
  const settings = settingsOf(meeting);
  await initialise(connection, { settings, logger: stderrLogger, signal: AbortSignal.timeout(60_000) });
  const names = Array.from({ length: cameraCount }, () => `camera-${randomBytes(4).toString('hex')}`);
  // One server each: a camera does not wait for another one to answer.
  const urls = new Map<string, string>();
  for (const name of names) {
    const server = await startRtspServer({ clip });
    undo.push(() => server.stop());
    urls.set(name, server.url);
  }
  const config = join(folder, 'ingest.yaml');
  // JSON is YAML too.
  await writeFile(
    config,
    JSON.stringify({ cameras: Object.fromEntries(names.map((id) => [id, { url: urls.get(id), fps: 5 }])) }),
  );

  const unfollow = new AbortController();
  const following = followTopic(
    {
      topic: connection.topics.frames,
      serdeOf: connection.serdes.serdeOf,
      openReader: () => connection.openReader(),
      from: 'end',
      clock: systemClock,
      logger: stderrLogger,
      onRecord({ key, value, ageMs }) {
        if (value === null) return;
        const at = ofCamera(key);
        const writtenMs = Date.now() - ageMs;
        const { epoch } = value;
        if (epoch > at.epoch) [at.gap, at.epoch] = [{ fromMs: at.lastFrameMs, toMs: writtenMs }, epoch];
        at.lastFrameMs = writtenMs;
      },
    },
    unfollow.signal,
  );
  undo.push(async () => {
    unfollow.abort();
    await following;
  });

  let started = 0;
  const startIngest = (): void => {
    const name = `ingest ${String((started += 1))}`;
    const ingest = new LoadProcess({
      name,
      args: [join(import.meta.dirname, '../../cli/bin.mjs'), 'service', 'ingest', '--config', config],
      environment: {
        KAFKA_BROKERS: meeting.brokers.join(),
        SCHEMA_REGISTRY_URL: meeting.registryUrl,
        SIGHTLINE_TOPICS_PREFIX: meeting.prefix,
        SIGHTLINE_LEASE_S: values.lease,
        SIGHTLINE_STATE_DIR: folder,
        SIGHTLINE_MODEL: 'sightline-nano',
        SIGHTLINE_LOG_FORMAT: 'json',
      },
      onWords: (line) => heard(name, line),
    });
    ingests.push(ingest);
    undo.push(() => ingest.end(30_000));
  };
  const isShared = (): boolean => {
    const living = ingests.filter(({ ended }) => !ended);
    const counts = living.map(({ name }) => [...seen.values()].filter(({ owner }) => owner === name).length);
    const isOnline = [...seen.values()].every(({ onlineMs, takenMs, epoch }) => onlineMs > takenMs && epoch > 0);
    return seen.size === cameraCount && isOnline && Math.max(...counts) - Math.min(...counts) <= 1;
  };
  startIngest();
  startIngest();
  await until('the cameras shared', isShared);

  const steps: Record<string, number[]> = {
    noticed: [],
    claimed: [],
    'first picture': [],
    'on the topic': [],
    silent: [],
  };
  for (let kill = 0; kill < kills; kill += 1) {
    await pause(2_000 + Math.random() * 2_000);
    const victim = ingests.find(({ ended }) => !ended);
    if (victim === undefined) break;
    const moving = names.filter((name) => seen.get(name)?.owner === victim.name);
    const killedMs = Date.now();
    victim.signal('SIGKILL');
    await until('frames again', () =>
      moving.every((name) => ofCamera(name).gap.toMs > killedMs && ofCamera(name).onlineMs > killedMs),
    );
    for (const name of moving) {
      const { takenMs, claimedMs, onlineMs, gap } = ofCamera(name);
      steps['noticed']?.push(takenMs - killedMs);
      steps['claimed']?.push(claimedMs - takenMs);
      steps['first picture']?.push(onlineMs - claimedMs);
      steps['on the topic']?.push(gap.toMs - onlineMs);
      steps['silent']?.push(gap.toMs - gap.fromMs);
    }
    const worstMs = Math.max(...moving.map((name) => ofCamera(name).gap.toMs - ofCamera(name).gap.fromMs));
    process.stderr.write(
      `kill ${String(kill + 1)}: ${String(moving.length)} cameras, the longest without frames ${worstMs.toFixed(0)} ms\n`,
    );
    startIngest();
    await until('the cameras shared', isShared);
  }
  process.stdout.write(
    `step of a camera that moves, ms          median   most   (${String(kills)} kills, lease ${values.lease} s, load average ${(loadavg()[0] ?? 0).toFixed(1)})\n`,
  );
  for (const [step, list] of Object.entries(steps)) process.stdout.write(`${step.padEnd(40)} ${figures(list)}\n`);
}

try {
  await main();
} finally {
  for (const step of undo.reverse()) await step().catch((error: unknown) => process.stderr.write(`${String(error)}\n`));
}
