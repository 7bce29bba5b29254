/**
 * What Sightline costs over the work itself. For each clip, interleaved and repeated: ffmpeg decoding to nothing plus bare session.run of as
 * many frames (the limit), the whole pipeline (`sightline run`), and the loop by hand in Python where OpenCV and onnxruntime are installed.
 * CPU time of all processes and their children, one thread. Each is run on the clip and on the clip several times over; the difference is what a
 * frame costs once it runs (a camera runs for months, and the compiler needs the first minute); the runs with their start-up are told beside it.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync, existsSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { inferenceSize } from '#shared/core/inference-geometry';
import { createModelLibrary, type LoadedModel } from '../../services/inference/adapters/model-files/model-library.ts';
import { createInputWriter } from '../../services/inference/core/input-writer.ts';
import { measureCommand, spreadOf, type Spread } from './measure-cpu.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const here = fileURLToPath(new URL('.', import.meta.url));
const dataDir = process.env['SIGHTLINE_TEST_DATA'] ?? path.join(root, '../shared/data');
const stateDir = process.env['SIGHTLINE_STATE_DIR'] ?? path.join(process.env['HOME'] ?? '.', '.local/state/sightline');
const ffmpeg = process.env['SIGHTLINE_FFMPEG'] ?? 'ffmpeg';

const { values: options } = parseArgs({
  options: {
    clip: { type: 'string', multiple: true },
    model: { type: 'string', default: path.join(root, 'test/fixtures/models/yolox_nano.yaml') },
    fps: { type: 'string', default: '5' },
    repeats: { type: 'string', default: '5' },
    cameras: { type: 'string', default: '' },
    python: { type: 'string', default: process.env['SIGHTLINE_BENCH_PYTHON'] ?? 'python3' },
    json: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
});

if (options.help) {
  process.stdout
    .write(`npm run bench -- [--clip FILE …] [--model NAME_OR_MANIFEST] [--fps N] [--repeats N] [--cameras N] [--python PYTHON] [--json]

Prints, for each clip, CPU time of the pipeline over the limit (ffmpeg decode to null + bare session.run of the same number of frames) and of
the same loop by hand in Python over the same limit. --cameras N adds: CPU per analysed frame with N cameras against one.
`);
  process.exit(0);
}

type Variant = 'decode' | 'inference' | 'pipeline' | 'by_hand';

interface ClipReport {
  readonly clip: string;
  readonly frames: number;
  /** CPU of a frame in the running pipeline over that of the limit. */
  readonly ratio_to_limit: Spread;
  readonly by_hand_ratio: Spread | null;
  /** The same for whole processes with start-up, on the clip once. */
  readonly whole_run: { readonly ratio_to_limit: Spread; readonly by_hand_ratio: Spread | null };
  readonly cpu_ms_per_frame: Readonly<Record<Variant, number | null>>;
  readonly start_up_cpu_ms: Readonly<Record<Variant, number | null>>;
  /** CPU per analysed frame with many cameras over that with one, start-up taken off. */
  readonly many_cameras: { readonly cameras: number; readonly ratio: Spread } | null;
}

/** The long run plays the clip this often. */
const timesOver = 3;
const fps = Number(options.fps);
const repeats = Number(options.repeats);
const cameras = Number(options.cameras);
const work = mkdtempSync(path.join(tmpdir(), 'sightline-bench-'));
try {
  const library = createModelLibrary({
    directories: [path.join(dataDir, 'models'), path.join(stateDir, 'models'), path.join(root, 'models')],
  });
  const model = await library.load(options.model);
  const python = findPython();
  const reports: ClipReport[] = [];
  for (const clip of options.clip ?? defaultClips()) reports.push(await benchClip(clip, model, python));
  print(reports);
} finally {
  rmSync(work, { recursive: true, force: true });
}

/** CPU milliseconds of one variant on the clip several times over, and once. */
interface Pair {
  readonly long: number;
  readonly once: number;
}

async function benchClip(clip: string, model: LoadedModel, python: string | undefined): Promise<ClipReport> {
  const name = path.basename(clip);
  say(`${name}: warm-up`);
  const long = path.join(work, `long-${name}`);
  const loops = ['-stream_loop', String(timesOver - 1), '-i', clip];
  spawnSync(ffmpeg, ['-loglevel', 'error', '-nostdin', '-y', ...loops, '-c', 'copy', '-an', long]);
  const frames = {
    long: (await runPipeline(long, model, 1)).analysed,
    once: (await runPipeline(clip, model, 1)).analysed,
  };
  const tensors = writeTensors(clip, model);
  const runs: Record<Variant | 'many', Pair[]> = { decode: [], inference: [], pipeline: [], by_hand: [], many: [] };
  const pair = async (measure: (file: string, length: 'long' | 'once') => Promise<number>): Promise<Pair> => ({
    long: await measure(long, 'long'),
    once: await measure(clip, 'once'),
  });
  for (let repeat = 1; repeat <= repeats; repeat += 1) {
    say(`${name}: ${repeat} of ${repeats}`);
    runs.decode.push(await pair(decode));
    runs.pipeline.push(await pair(async (file) => (await runPipeline(file, model, 1)).cpuMs));
    runs.inference.push(await pair((_, length) => bareInference(model, frames[length], tensors)));
    if (python !== undefined) runs.by_hand.push(await pair((file) => byHand(python, file, model)));
    if (cameras > 1) runs.many.push(await pair(async (file) => (await runPipeline(file, model, cameras)).cpuMs));
  }
  const marginalFrames = frames.long - frames.once;
  const marginal = (pairs: readonly Pair[]): number[] => pairs.map(({ long, once }) => (long - once) / marginalFrames);
  const whole = (pairs: readonly Pair[]): number[] => pairs.map((each) => each.once / frames.once);
  const over = (above: readonly number[], below: readonly number[]): Spread =>
    spreadOf(above.map((value, index) => value / (below[index] ?? Number.NaN)));
  const limit = (of: typeof marginal): number[] => {
    const inference = of(runs.inference);
    return of(runs.decode).map((value, index) => value + (inference[index] ?? Number.NaN));
  };
  const ifRun = <Value>(pairs: readonly Pair[], value: () => Value): Value | null =>
    pairs.length === 0 ? null : value();
  const ratios = (of: typeof marginal): { ratio_to_limit: Spread; by_hand_ratio: Spread | null } => ({
    ratio_to_limit: over(of(runs.pipeline), limit(of)),
    by_hand_ratio: ifRun(runs.by_hand, () => over(of(runs.by_hand), limit(of))),
  });
  const each = (value: (pairs: readonly Pair[]) => number): Record<Variant, number | null> => ({
    decode: value(runs.decode),
    inference: value(runs.inference),
    pipeline: value(runs.pipeline),
    by_hand: ifRun(runs.by_hand, () => value(runs.by_hand)),
  });
  return {
    clip: name,
    frames: frames.once,
    ...ratios(marginal),
    whole_run: ratios(whole),
    cpu_ms_per_frame: each((pairs) => spreadOf(marginal(pairs)).median),
    start_up_cpu_ms: each((pairs) => {
      const perFrame = spreadOf(marginal(pairs)).median;
      return spreadOf(pairs.map((one) => one.once)).median - perFrame * frames.once;
    }),
    many_cameras: ifRun(runs.many, () => ({
      cameras,
      ratio: over(
        marginal(runs.many).map((value) => value / cameras),
        marginal(runs.pipeline),
      ),
    })),
  };
}

async function decode(file: string): Promise<number> {
  const decoding = ['-hide_banner', '-nostdin', '-loglevel', 'error', '-threads', '1', '-i', file, '-f', 'null', '-'];
  return (await measureCommand(ffmpeg, decoding)).cpuMs;
}

async function bareInference(model: LoadedModel, frames: number, tensors: string): Promise<number> {
  const { input } = model.manifest;
  const facts = [model.modelPath, input.name, input.widthPx, input.heightPx, frames, tensors].map(String);
  return (await measureCommand(process.execPath, [path.join(here, 'bare-inference.ts'), ...facts])).cpuMs;
}

async function byHand(python: string, file: string, model: LoadedModel): Promise<number> {
  const facts = [file, model.modelPath, String(fps), path.join(work, 'by-hand.jsonl')];
  return (await measureCommand(python, [path.join(here, 'by_hand.py'), ...facts])).cpuMs;
}

async function runPipeline(
  clip: string,
  model: LoadedModel,
  cameras: number,
): Promise<{ cpuMs: number; analysed: number }> {
  const summaryFile = path.join(work, 'summary.json');
  const flags = Array.from({ length: cameras }, (_, index) => ['--camera', `c${index + 1}=${clip}`]).flat();
  const { cpuMs } = await measureCommand(process.execPath, [
    path.join(root, 'cli/bin.mjs'),
    'run',
    ...flags,
    ...['--model', model.manifestPath, '--models-dir', path.dirname(model.modelPath)],
    ...['--fps', String(fps), '--threads', '1', '--until-end', '--log-level', 'error'],
    ...['--results', path.join(work, 'results.avro'), '--summary', summaryFile, '--state-dir', work],
  ]);
  // Written by the command that has just ended well.
  const summary = JSON.parse(readFileSync(summaryFile, 'utf8')) as { cameras: { frames_analysed: number }[] };
  return { cpuMs, analysed: summary.cameras.reduce((sum, camera) => sum + camera.frames_analysed, 0) };
}

/** Some real frames as the model takes them, spread over the clip. */
function writeTensors(clip: string, model: LoadedModel): string {
  const { input } = model.manifest;
  const probe = spawnSync('ffprobe', [
    '-v',
    'error',
    '-select_streams',
    'v:0',
    '-show_entries',
    'stream=width,height',
    '-of',
    'csv=p=0',
    clip,
  ]);
  const [width = 0, height = 0] = probe.stdout.toString().trim().split(',').map(Number);
  const size = inferenceSize(width, height, input);
  const filter = `fps=1,scale=${size.widthPx}:${size.heightPx}:flags=bilinear,format=gbrp`;
  const { stdout } = spawnSync(
    ffmpeg,
    ['-loglevel', 'error', '-nostdin', '-i', clip, '-vf', filter, '-frames:v', '16', '-f', 'rawvideo', 'pipe:1'],
    {
      maxBuffer: 256 * 1024 * 1024,
    },
  );
  const bytes = size.widthPx * size.heightPx * 3;
  const writer = createInputWriter(input);
  const tensors: Buffer[] = [];
  for (let offset = 0; offset + bytes <= stdout.length; offset += bytes) {
    writer.write({ format: 'gbrp', ...size, data: new Uint8Array(stdout.subarray(offset, offset + bytes)) });
    tensors.push(Buffer.from(Float32Array.from(writer.tensor).buffer));
  }
  const file = path.join(work, 'tensors.f32');
  writeFileSync(file, Buffer.concat(tensors));
  return file;
}

function findPython(): string | undefined {
  const check = spawnSync(options.python, ['-c', 'import cv2, numpy, onnxruntime']);
  if (check.status === 0) return options.python;
  say(`${options.python} has no OpenCV, numpy and onnxruntime: the loop by hand is left out`);
  return undefined;
}

function defaultClips(): string[] {
  const clips = [
    path.join(stateDir, 'demo/demo-vtest.avi'),
    '/usr/share/doc/opencv-doc/examples/data/vtest.avi',
    path.join(dataDir, 'videos/one-by-one-person-detection.mp4'),
  ].filter((clip) => existsSync(clip));
  if (clips.length === 0) throw new Error('no clip at hand: name one with --clip FILE');
  return clips;
}

function print(reports: readonly ClipReport[]): void {
  // The worst clip stands for all.
  const worst = reports.toSorted((one, other) => other.ratio_to_limit.median - one.ratio_to_limit.median)[0];
  const whole = {
    ratio_to_limit: worst === undefined ? null : round(worst.ratio_to_limit.median),
    by_hand_ratio: worst?.by_hand_ratio == null ? null : round(worst.by_hand_ratio.median),
    machine: { processor: cpus()[0]?.model ?? 'unknown', cores: cpus().length, node: process.version },
    fps,
    repeats,
    clips: reports,
  };
  if (options.json) {
    process.stdout.write(
      `${JSON.stringify(whole, (_, value: unknown) => (typeof value === 'number' ? round(value) : value))}\n`,
    );
    return;
  }
  for (const report of reports) {
    const { cpu_ms_per_frame: cpu, start_up_cpu_ms: start } = report;
    process.stdout.write(`${report.clip}: ${report.frames} frames, CPU ms per analysed frame, median of ${repeats}
  decode ${show(cpu.decode)} + bare inference ${show(cpu.inference)}; pipeline ${show(cpu.pipeline)}; by hand ${show(cpu.by_hand)}
  a frame:    pipeline / limit ${spreadText(report.ratio_to_limit)}; by hand / limit ${spreadText(report.by_hand_ratio)}
  whole runs: pipeline / limit ${spreadText(report.whole_run.ratio_to_limit)}; by hand / limit ${spreadText(report.whole_run.by_hand_ratio)}
  start-up, CPU ms: ffmpeg ${show(start.decode)} + bare inference ${show(start.inference)}; pipeline ${show(start.pipeline)}; by hand ${show(start.by_hand)}
`);
    if (report.many_cameras !== null) {
      process.stdout.write(
        `  ${report.many_cameras.cameras} cameras / 1 camera ${spreadText(report.many_cameras.ratio)}\n`,
      );
    }
  }
}

function spreadText(spread: Spread | null): string {
  if (spread === null) return 'not measured';
  const { median, min, max } = spread;
  return `${median.toFixed(3)} (${min.toFixed(3)}-${max.toFixed(3)})`;
}

function show(value: number | null): string {
  return value === null ? '-' : value.toFixed(2);
}

function round(value: number): number {
  return Math.round(value * 10_000) / 10_000;
}

function say(text: string): void {
  process.stderr.write(`${text}\n`);
}
