import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { renderDemoScene } from '../../cli/demo/demo-scene.ts';
import { startRtspServer } from '../../test/support/rtsp-server.ts';
import type { LoadMeeting } from './load-connection.ts';
import type { LoadOptions } from './load-options.ts';
import { LoadProcess } from './load-process.ts';

export interface LoadClusterOptions {
  readonly options: LoadOptions;
  readonly meeting: LoadMeeting;
  /** For what its processes need on the disk. */
  readonly folder: string;
  /** Where to find Redis, if there is one. */
  readonly redis: Readonly<Record<string, string>>;
  readonly undo: (() => Promise<void>)[];
  /** What a process has to say. */
  readonly note: (text: string) => void;
  readonly signal: AbortSignal;
}

const script = (name: string): string => join(import.meta.dirname, name);
/** As docker-compose.yml has it. */
const leaseSeconds = 2.5;
const readyLimitMs = 120_000;
const stopLimitMs = 30_000;

/** The processes of a load test: cameras, ingests and workers. */
export class LoadCluster {
  readonly workers: LoadProcess[] = [];
  readonly ingests: LoadProcess[] = [];
  #cameras: LoadProcess | undefined;
  /** Of an ingest that is started later too. */
  #ingestConfig = '';
  readonly #options: LoadClusterOptions;

  constructor(options: LoadClusterOptions) {
    this.#options = options;
  }

  get all(): readonly LoadProcess[] {
    return [...(this.#cameras === undefined ? [] : [this.#cameras]), ...this.ingests, ...this.workers];
  }

  /** A process with `count` workers; resolves when they are in the group. */
  async startWorkers(count: number): Promise<void> {
    const { options, meeting, redis } = this.#options;
    const name = `worker ${String(this.workers.length + 1)}`;
    if (options.model !== undefined) {
      const args = ['service', 'inference', '--model', options.model, '--threads', '1'];
      await this.#startService(name, args, this.workers, '"taking frames"');
      return;
    }
    const settings = { meeting, count, serviceMs: options.simulatedMs, wantsCache: options.redis };
    const process = this.#start(name, [script('load-workers.ts'), JSON.stringify(settings)], redis);
    this.workers.push(process);
    await process.line(0, readyLimitMs);
  }

  /** One ingest more, with its share of the cameras. */
  async startIngest(): Promise<void> {
    const name = `ingest ${String(this.ingests.length + 1)}`;
    const args = ['service', 'ingest', '--config', this.#ingestConfig];
    await this.#startService(name, args, this.ingests, '"sharing the cameras');
  }

  /** All cameras, with the ingests where they are read by RTSP. */
  async startCameras(): Promise<void> {
    const { options, meeting } = this.#options;
    if (options.source === 'rtsp') {
      await this.#startRtspCameras();
      return;
    }
    const { cameras, fps, frameBytes, deadlineMs } = options;
    const settings = { meeting, cameras, fps, frameBytes, deadlineMs };
    this.#cameras = this.#start('cameras', [script('load-cameras.ts'), JSON.stringify(settings)], {});
    await this.#cameras.line(0, readyLimitMs);
  }

  /** The processes without which there is nothing to measure. */
  get hasCameras(): boolean {
    return this.#cameras === undefined ? this.ingests.some(({ ended }) => !ended) : !this.#cameras.ended;
  }

  /** Stops what sends frames; resolves with the last one that each injected camera has sent, undefined for those by RTSP. */
  async stopCameras(): Promise<Readonly<Record<string, number>> | undefined> {
    if (this.#cameras === undefined) {
      await Promise.all(this.ingests.map((ingest) => ingest.end(stopLimitMs)));
      return undefined;
    }
    this.#cameras.signal('SIGTERM');
    return JSON.parse(await this.#cameras.line(1, 60_000)) as Record<string, number>;
  }

  async #startRtspCameras(): Promise<void> {
    const { options, folder, undo } = this.#options;
    const clip = await renderClip(folder);
    const mounts = Object.fromEntries(cameraNames(options.cameras).map((name) => [`/${name}`, clip]));
    const server = await startRtspServer({ mounts });
    undo.push(() => server.stop());
    const cameras = Object.fromEntries(
      cameraNames(options.cameras).map((name) => [
        name,
        { url: `rtsp://127.0.0.1:${String(server.port)}/${name}`, fps: options.fps },
      ]),
    );
    this.#ingestConfig = join(folder, 'ingest.yaml');
    // JSON is YAML too.
    await writeFile(this.#ingestConfig, JSON.stringify({ cameras }));
    for (let count = 0; count < options.ingests; count += 1) await this.startIngest();
  }

  /** `sightline service …`; ready when it has logged `sign`. */
  async #startService(name: string, args: readonly string[], into: LoadProcess[], sign: string): Promise<void> {
    const { options, meeting, folder, redis, note } = this.#options;
    const ready = Promise.withResolvers<undefined>();
    const process = this.#start(
      name,
      [join(import.meta.dirname, '../../cli/bin.mjs'), ...args],
      {
        ...redis,
        KAFKA_BROKERS: meeting.brokers.join(),
        SCHEMA_REGISTRY_URL: meeting.registryUrl,
        SIGHTLINE_TOPICS_PREFIX: meeting.prefix,
        SIGHTLINE_SESSION_TIMEOUT_S: String(meeting.sessionSeconds),
        SIGHTLINE_LEASE_S: String(leaseSeconds),
        SIGHTLINE_STATE_DIR: folder,
        // Its input is that of the simulated accelerator too.
        SIGHTLINE_MODEL: options.model ?? 'sightline-nano',
        SIGHTLINE_LOG_FORMAT: 'json',
      },
      (line) => {
        if (line.includes(sign)) ready.resolve(undefined);
        const trouble = troubleOf(line);
        if (trouble !== undefined) note(`${name}: ${trouble.slice(0, 300)}`);
      },
    );
    into.push(process);
    await Promise.race([
      ready.promise,
      process.exited.then(() => Promise.reject(new Error(`${name} ended before it was ready`))),
      new Promise((_, reject) =>
        setTimeout(() => reject(new Error(`${name} did not get ready`)), readyLimitMs).unref(),
      ),
    ]);
  }

  #start(
    name: string,
    args: readonly string[],
    environment: Readonly<Record<string, string>>,
    onWords = (line: string): void => this.#options.note(`${name}: ${line.slice(0, 300)}`),
  ): LoadProcess {
    const { options, folder, undo, signal } = this.#options;
    signal.throwIfAborted();
    const profile = options.cpuProfile ? ['--cpu-prof', `--cpu-prof-dir=${folder}`] : [];
    const process = new LoadProcess({ name, args: [...profile, ...args], environment, onWords });
    undo.push(() => process.end(stopLimitMs));
    return process;
  }
}

/** The scene of the demo as cameras send it. */
async function renderClip(folder: string): Promise<string> {
  const [scene, clip] = [join(folder, 'scene.mp4'), join(folder, 'clip.mp4')];
  await renderDemoScene('ffmpeg', scene);
  const encoder = ['-c:v', 'libx264', '-preset', 'ultrafast', '-bf', '0', '-g', '20'];
  await promisify(execFile)('ffmpeg', ['-v', 'error', '-nostdin', '-y', '-i', scene, ...encoder, clip]);
  return clip;
}

/** A line of a service's log, if it tells of trouble. */
function troubleOf(line: string): string | undefined {
  if (!/"level":"(warn|error)"/.test(line)) return undefined;
  try {
    // Lines of our own logger.
    const { camera, msg, reason } = JSON.parse(line) as Partial<Record<'camera' | 'msg' | 'reason', string>>;
    return [camera, msg, reason].filter((word) => word !== undefined).join(', ');
  } catch {
    return line;
  }
}

function cameraNames(count: number): string[] {
  // Names that say nothing of each other, as those of real cameras: their partitions follow from them.
  return Array.from(
    { length: count },
    (_, index) => `load-${createHash('md5').update(String(index)).digest('hex').slice(0, 8)}`,
  );
}
