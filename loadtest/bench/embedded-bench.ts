import { readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import {
  bareInference,
  decode,
  loopedClip,
  measurePair,
  prepareClip,
  writeTensors,
  type BenchSettings,
} from './limit.ts';
import { measureCommand, spreadOf, type Spread } from './measure-cpu.ts';
import {
  marginal,
  medianOf,
  ratiosOf,
  show,
  spreadText,
  startUpOf,
  wholeRun,
  type Pair,
  type Ratios,
} from './ratios.ts';

type Variant = 'decode' | 'inference' | 'pipeline' | 'by_hand';

interface EmbeddedReport extends Ratios {
  readonly clip: string;
  readonly frames: number;
  /** The same for whole processes with start-up, on the clip once. */
  readonly whole_run: Ratios;
  readonly cpu_ms_per_frame: Readonly<Record<Variant, number | null>>;
  readonly start_up_cpu_ms: Readonly<Record<Variant, number | null>>;
  readonly many_cameras: ManyCameras | null;
}

interface ManyCameras {
  readonly cameras: number;
  /** CPU per analysed frame over that of one camera with as many frames in all, start-up in both. */
  readonly ratio: Spread;
  /** What a further camera adds to the most resident memory of the process and its ffmpegs. */
  readonly rss_mb_per_added_camera: Spread;
  readonly rss_mb_of_one: Spread;
}

/** `sightline run` on a clip. */
export async function benchEmbedded(settings: BenchSettings, clip: string, cameras: number): Promise<EmbeddedReport> {
  const { model, python, repeats, say } = settings;
  const name = path.basename(clip);
  say(`${name}: warm-up`);
  const files = prepareClip(settings, clip);
  const frames = await measurePair(files, async (file) => (await runPipeline(settings, file, 1)).analysed);
  const tensors = writeTensors(settings, clip);
  const runs: Record<Variant, Pair[]> = { decode: [], inference: [], pipeline: [], by_hand: [] };
  const compare = cameras > 1 ? manyAgainstOne(settings, clip, cameras) : undefined;
  for (let repeat = 1; repeat <= repeats; repeat += 1) {
    say(`${name}: ${repeat} of ${repeats}`);
    runs.decode.push(await measurePair(files, (file) => decode(settings, file)));
    runs.pipeline.push(await measurePair(files, async (file) => (await runPipeline(settings, file, 1)).cpuMs));
    runs.inference.push(await measurePair(files, (_, length) => bareInference(model, frames[length], tensors)));
    if (python !== undefined) runs.by_hand.push(await measurePair(files, (file) => byHand(settings, python, file)));
    await compare?.measure();
  }
  const perFrame = marginal(frames);
  const each = (value: (pairs: readonly Pair[]) => number | null): Record<Variant, number | null> => ({
    decode: value(runs.decode),
    inference: value(runs.inference),
    pipeline: value(runs.pipeline),
    by_hand: value(runs.by_hand),
  });
  return {
    clip: name,
    frames: frames.once,
    ...ratiosOf(runs, perFrame),
    whole_run: ratiosOf(runs, wholeRun(frames)),
    cpu_ms_per_frame: each((pairs) => medianOf(pairs, perFrame)),
    start_up_cpu_ms: each((pairs) => startUpOf(pairs, frames)),
    many_cameras: compare?.report() ?? null,
  };
}

/** Many cameras on the clip in turn with one camera on the clip as many times over. */
function manyAgainstOne(
  settings: BenchSettings,
  clip: string,
  cameras: number,
): { measure(): Promise<void>; report(): ManyCameras } {
  const asLong = loopedClip(settings, clip, cameras);
  const ratios: number[] = [];
  const rssMb: { one: number; added: number }[] = [];
  return {
    measure: async () => {
      const one = await runPipeline(settings, asLong, 1);
      const many = await runPipeline(settings, clip, cameras);
      ratios.push(many.cpuMs / many.analysed / (one.cpuMs / one.analysed));
      rssMb.push({ one: one.peakRssMb, added: (many.peakRssMb - one.peakRssMb) / (cameras - 1) });
    },
    report: () => ({
      cameras,
      ratio: spreadOf(ratios),
      rss_mb_of_one: spreadOf(rssMb.map(({ one }) => one)),
      rss_mb_per_added_camera: spreadOf(rssMb.map(({ added }) => added)),
    }),
  };
}

export function embeddedText(report: EmbeddedReport, repeats: number): string {
  const { cpu_ms_per_frame: cpu, start_up_cpu_ms: start, many_cameras: many } = report;
  const text = `${report.clip}: ${report.frames} frames, CPU ms per analysed frame, median of ${repeats}
  decode ${show(cpu.decode)} + bare inference ${show(cpu.inference)}; pipeline ${show(cpu.pipeline)}; by hand ${show(cpu.by_hand)}
  a frame:    pipeline / limit ${spreadText(report.ratio_to_limit)}; by hand / limit ${spreadText(report.by_hand_ratio)}
  whole runs: pipeline / limit ${spreadText(report.whole_run.ratio_to_limit)}; by hand / limit ${spreadText(report.whole_run.by_hand_ratio)}
  start-up, CPU ms: ffmpeg ${show(start.decode)} + bare inference ${show(start.inference)}; pipeline ${show(start.pipeline)}; by hand ${show(start.by_hand)}
`;
  if (many === null) return text;
  return `${text}  ${many.cameras} cameras / 1 camera ${spreadText(many.ratio)}
  resident memory, MB: one camera ${spreadText(many.rss_mb_of_one)}; each further one ${spreadText(many.rss_mb_per_added_camera)}
`;
}

async function byHand({ work, model, fps }: BenchSettings, python: string, file: string): Promise<number> {
  const script = fileURLToPath(new URL('by_hand.py', import.meta.url));
  const facts = [file, model.modelPath, String(fps), path.join(work, 'by-hand.jsonl')];
  return (await measureCommand(python, [script, ...facts])).cpuMs;
}

async function runPipeline(
  { root, work, model, inputShape, fps }: BenchSettings,
  clip: string,
  cameras: number,
): Promise<{ cpuMs: number; peakRssMb: number; analysed: number }> {
  const summaryFile = path.join(work, 'summary.json');
  const flags = Array.from({ length: cameras }, (_, index) => ['--camera', `c${index + 1}=${clip}`]).flat();
  const { cpuMs, peakRssMb } = await measureCommand(process.execPath, [
    path.join(root, 'cli/bin.mjs'),
    'run',
    ...flags,
    ...['--model', model.manifestPath, '--models-dir', path.dirname(model.modelPath)],
    ...['--input-shape', inputShape, '--fps', String(fps), '--threads', '1', '--until-end', '--log-level', 'error'],
    ...['--results', path.join(work, 'results.avro'), '--summary', summaryFile, '--state-dir', work],
  ]);
  // Written by the command that has just ended well.
  const summary = JSON.parse(readFileSync(summaryFile, 'utf8')) as { cameras: { frames_analysed: number }[] };
  return { cpuMs, peakRssMb, analysed: summary.cameras.reduce((sum, camera) => sum + camera.frames_analysed, 0) };
}
