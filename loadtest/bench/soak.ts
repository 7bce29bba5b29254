/**
 * Runs `sightline run` on looped clips for a while and watches it: does memory or the number of open files grow?
 * Usage: soak.ts --clip FILE --model MANIFEST [--models-dir DIR] [--cameras N] [--seconds S] [--fps N] [--json]
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const root = fileURLToPath(new URL('../..', import.meta.url));
const { values: options } = parseArgs({
  options: {
    clip: { type: 'string' },
    model: { type: 'string' },
    'models-dir': { type: 'string' },
    cameras: { type: 'string', default: '4' },
    seconds: { type: 'string', default: '1800' },
    fps: { type: 'string', default: '5' },
    json: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
});
const usage =
  'usage: soak.ts --clip FILE --model MANIFEST [--models-dir DIR] [--cameras N] [--seconds S] [--fps N] [--json]\n';
if (options.help) {
  process.stdout.write(`${usage}Runs the clip in a loop and tells whether memory or the number of open files grow.\n`);
  process.exit(0);
}
if (options.clip === undefined || options.model === undefined) {
  process.stderr.write(usage);
  process.exit(2);
}
const { clip, model } = options;
const cameras = Number(options.cameras);
const seconds = Number(options.seconds);
/** The first part of the run fills pools and caches. */
const warmUpShare = 0.2;

interface Sample {
  readonly second: number;
  readonly rssMb: number;
  readonly openFiles: number;
}

const work = mkdtempSync(path.join(tmpdir(), 'sightline-soak-'));
try {
  const summaryFile = path.join(work, 'summary.json');
  const names = Array.from({ length: cameras }, (_, index) => ['--camera', `c${index + 1}=${clip}`]).flat();
  const child = spawn(
    process.execPath,
    [
      ...[path.join(root, 'cli/bin.mjs'), 'run', ...names, '--loop', '--model', model],
      ...(options['models-dir'] === undefined ? [] : ['--models-dir', options['models-dir']]),
      ...['--fps', options.fps, '--duration', String(seconds), '--summary', summaryFile],
      ...['--results', path.join(work, 'results'), '--state-dir', work, '--log-level', 'warn'],
    ],
    { stdio: ['ignore', 'inherit', 'inherit'] },
  );
  const ended = once(child, 'close');
  const samples: Sample[] = [];
  const startedMs = performance.now();
  const timer = setInterval(
    () => {
      const sample = child.pid === undefined ? undefined : look(child.pid, (performance.now() - startedMs) / 1000);
      if (sample !== undefined) samples.push(sample);
    },
    Math.max(1000, (seconds * 1000) / 200),
  );
  const [code] = (await ended) as [number | null];
  clearInterval(timer);
  if (code !== 0) throw new Error(`the run ended with ${code ?? 'a signal'}`);
  // Written by the command that has just ended well.
  const summary = JSON.parse(readFileSync(summaryFile, 'utf8')) as {
    cameras: { frames_analysed: number; frames_dropped: number; cpu_ms_per_analysed_frame: number | null }[];
  };
  const steady = samples.filter((sample) => sample.second > seconds * warmUpShare);
  const report = {
    cameras,
    seconds,
    rss_mb: {
      first: steady[0]?.rssMb,
      last: steady.at(-1)?.rssMb,
      highest: Math.max(...steady.map((sample) => sample.rssMb)),
    },
    rss_slope_mb_per_hour: slopePerHour(steady.map((sample) => [sample.second, sample.rssMb])),
    open_files: { first: steady[0]?.openFiles, last: steady.at(-1)?.openFiles },
    frames_analysed: summary.cameras.reduce((sum, camera) => sum + camera.frames_analysed, 0),
    frames_dropped: summary.cameras.reduce((sum, camera) => sum + camera.frames_dropped, 0),
    cpu_ms_per_analysed_frame: summary.cameras[0]?.cpu_ms_per_analysed_frame ?? null,
  };
  process.stdout.write(options.json ? `${JSON.stringify(report)}\n` : `${JSON.stringify(report, undefined, 2)}\n`);
} finally {
  rmSync(work, { recursive: true, force: true });
}

function look(pid: number, second: number): Sample | undefined {
  try {
    const rssKb = /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
    return { second, rssMb: Number(rssKb) / 1024, openFiles: readdirSync(`/proc/${pid}/fd`).length };
  } catch {
    return undefined; // it has just ended
  }
}

/** Least squares. */
function slopePerHour(points: readonly (readonly [number, number])[]): number {
  const mean = (pick: (point: readonly [number, number]) => number): number =>
    points.reduce((sum, point) => sum + pick(point), 0) / points.length;
  const [meanX, meanY] = [mean(([x]) => x), mean(([, y]) => y)];
  const covariance = points.reduce((sum, [x, y]) => sum + (x - meanX) * (y - meanY), 0);
  const variance = points.reduce((sum, [x]) => sum + (x - meanX) ** 2, 0);
  return (covariance / variance) * 3600;
}
