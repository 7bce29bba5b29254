import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { inferenceSize } from '#shared/core/inference-geometry';
import type { InputShape } from '#shared/core/input-shape';
import type { LoadedModel } from '../../services/inference/adapters/model-files/model-library.ts';
import { createInputWriter } from '../../services/inference/core/input-writer.ts';
import { measureCommand } from './measure-cpu.ts';
import type { Pair } from './ratios.ts';

/** What every bench of a clip is told. */
export interface BenchSettings {
  /** The checkout. */
  readonly root: string;
  /** A directory of this bench's own. */
  readonly work: string;
  readonly ffmpeg: string;
  readonly model: LoadedModel;
  /** Of the pipeline; the limit and the loop by hand run the model as its file declares it. */
  readonly inputShape: InputShape;
  readonly fps: number;
  readonly repeats: number;
  /** Undefined: the loop by hand is left out. */
  readonly python: string | undefined;
  /** A line for whoever waits. */
  readonly say: (text: string) => void;
}

/** The long run plays the clip this often. */
const timesOver = 3;

/** Measures on the clip several times over, then on the clip once. */
export async function measurePair<Value>(
  { clip, long }: ClipFiles,
  measure: (file: string, length: keyof Pair) => Promise<Value>,
): Promise<{ readonly long: Value; readonly once: Value }> {
  return { long: await measure(long, 'long'), once: await measure(clip, 'once') };
}

export interface ClipFiles {
  readonly clip: string;
  readonly long: string;
}

export function prepareClip(settings: BenchSettings, clip: string): ClipFiles {
  return { clip, long: loopedClip(settings, clip, timesOver) };
}

/** The clip so many times over, in a file of its own. */
export function loopedClip({ work, ffmpeg }: BenchSettings, clip: string, times: number): string {
  const file = path.join(work, `${String(times)}-times-${path.basename(clip)}`);
  const loops = ['-stream_loop', String(times - 1), '-i', clip];
  spawnSync(ffmpeg, ['-loglevel', 'error', '-nostdin', '-y', ...loops, '-c', 'copy', '-an', file]);
  return file;
}

/** CPU milliseconds of ffmpeg decoding the file to nothing. */
export async function decode({ ffmpeg }: BenchSettings, file: string): Promise<number> {
  const decoding = ['-hide_banner', '-nostdin', '-loglevel', 'error', '-threads', '1', '-i', file, '-f', 'null', '-'];
  return (await measureCommand(ffmpeg, decoding)).cpuMs;
}

/** CPU milliseconds of nothing but session.run, so many times, on the tensors of `writeTensors`. */
export async function bareInference(model: LoadedModel, frames: number, tensors: string): Promise<number> {
  const { input } = model.manifest;
  const script = fileURLToPath(new URL('bare-inference.ts', import.meta.url));
  const facts = [model.modelPath, input.name, input.widthPx, input.heightPx, frames, tensors].map(String);
  return (await measureCommand(process.execPath, [script, ...facts])).cpuMs;
}

/** Some real frames as the model takes them, spread over the clip; gives the file. */
export function writeTensors({ work, ffmpeg, model }: BenchSettings, clip: string): string {
  const { input } = model.manifest;
  const asked = ['-select_streams', 'v:0', '-show_entries', 'stream=width,height', '-of', 'csv=p=0'];
  const probe = spawnSync('ffprobe', ['-v', 'error', ...asked, clip]);
  const [width = 0, height = 0] = probe.stdout.toString().trim().split(',').map(Number);
  const size = inferenceSize(width, height, input);
  const filter = `fps=1,scale=${size.widthPx}:${size.heightPx}:flags=bilinear,format=gbrp`;
  const { stdout } = spawnSync(
    ffmpeg,
    ['-loglevel', 'error', '-nostdin', '-i', clip, '-vf', filter, '-frames:v', '16', '-f', 'rawvideo', 'pipe:1'],
    { maxBuffer: 256 * 1024 * 1024 },
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
