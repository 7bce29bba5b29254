import { readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { bareInference, decode, measurePair, prepareClip, writeTensors, type BenchSettings } from './limit.ts';
import { measureCommand, type Spread } from './measure-cpu.ts';
import {
  marginal,
  medianOf,
  over,
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
  /** CPU per analysed frame with many cameras over that with one, start-up taken off. */
  readonly many_cameras: { readonly cameras: number; readonly ratio: Spread } | null;
}

/** `sightline run` on a clip. */
export async function benchEmbedded(settings: BenchSettings, clip: string, cameras: number): Promise<EmbeddedReport> {
  const { model, python, repeats, say } = settings;
  const name = path.basename(clip);
  say(`${name}: warm-up`);
  const files = prepareClip(settings, clip);
  const frames = await measurePair(files, async (file) => (await runPipeline(settings, file, 1)).analysed);
  const tensors = writeTensors(settings, clip);
  const runs: Record<Variant | 'many', Pair[]> = { decode: [], inference: [], pipeline: [], by_hand: [], many: [] };
  for (let repeat = 1; repeat <= repeats; repeat += 1) {
    say(`${name}: ${repeat} of ${repeats}`);
    runs.decode.push(await measurePair(files, (file) => decode(settings, file)));
    runs.pipeline.push(await measurePair(files, async (file) => (await runPipeline(settings, file, 1)).cpuMs));
    runs.inference.push(await measurePair(files, (_, length) => bareInference(model, frames[length], tensors)));
    if (python !== undefined) runs.by_hand.push(await measurePair(files, (file) => byHand(settings, python, file)));
    if (cameras > 1) {
      runs.many.push(await measurePair(files, async (file) => (await runPipeline(settings, file, cameras)).cpuMs));
    }
  }
  const perFrame = marginal(frames);
  const each = (value: (pairs: readonly Pair[]) => number | null): Record<Variant, number | null> => ({
    decode: value(runs.decode),
    inference: value(runs.inference),
    pipeline: value(runs.pipeline),
    by_hand: value(runs.by_hand),
  });
  const ofMany = perFrame(runs.many).map((value) => value / cameras);
  return {
    clip: name,
    frames: frames.once,
    ...ratiosOf(runs, perFrame),
    whole_run: ratiosOf(runs, wholeRun(frames)),
    cpu_ms_per_frame: each((pairs) => medianOf(pairs, perFrame)),
    start_up_cpu_ms: each((pairs) => startUpOf(pairs, frames)),
    many_cameras: runs.many.length === 0 ? null : { cameras, ratio: over(ofMany, perFrame(runs.pipeline)) },
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
  return many === null ? text : `${text}  ${many.cameras} cameras / 1 camera ${spreadText(many.ratio)}\n`;
}

async function byHand({ work, model, fps }: BenchSettings, python: string, file: string): Promise<number> {
  const script = fileURLToPath(new URL('by_hand.py', import.meta.url));
  const facts = [file, model.modelPath, String(fps), path.join(work, 'by-hand.jsonl')];
  return (await measureCommand(python, [script, ...facts])).cpuMs;
}

async function runPipeline(
  { root, work, model, fps }: BenchSettings,
  clip: string,
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
