import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readdir, stat } from 'node:fs/promises';
import { basename, extname, join, resolve } from 'node:path';
import { AppError } from '#shared/core/errors';
import type { PlanarImage } from '#shared/core/frame';
import { inferenceSize, type InputGeometry, type SizePx } from '#shared/core/inference-geometry';
import { scaleFilter } from '../../../services/ingest/adapters/ffmpeg/ffmpeg-arguments.ts';
import { clipDurationSeconds, pictureSize } from '../picture-pixels.ts';

/** Frames of one clip as JPEG files 00001.jpg and on, in the order of time. */
export interface ClipFrames {
  readonly clip: string;
  readonly directory: string;
  /** Number of the first of these; the files count from 1. */
  readonly first: number;
  readonly count: number;
  readonly size: SizePx;
}

const clipExtensions = new Set(['.mp4', '.mkv', '.avi', '.mov', '.ts', '.webm', '.m4v', '.mpg', '.mpeg']);
/** Wider frames are made smaller: a detector's input is, and frames of 4K would fill the disk. */
const maxFrameWidthPx = 960;

/** The clips of a folder, or the one file, in the order of their names. */
export async function findClips(source: string): Promise<readonly string[]> {
  const facts = await stat(source).catch(() => null);
  if (facts?.isFile() === true) return [resolve(source)];
  const names = facts?.isDirectory() === true ? await readdir(source) : [];
  const clips = names.filter((name) => clipExtensions.has(extname(name).toLowerCase())).toSorted();
  if (clips.length > 0) return clips.map((name) => resolve(source, name));
  throw new AppError('SIGHTLINE_CLIPS_UNUSABLE', `there is no clip in ${source}`, {
    action: `Name a folder with clips (${[...clipExtensions].join(' ')}) or one clip.`,
  });
}

/** Frames a second to take, so that all clips together give no more than `maxFrames`. */
export async function samplingRate(clips: readonly string[], wantedFps: number, maxFrames: number): Promise<number> {
  let seconds = 0;
  for (const clip of clips) seconds += await clipDurationSeconds(clip);
  return seconds === 0 ? wantedFps : Math.min(wantedFps, maxFrames / seconds);
}

export async function extractFrames(
  clip: string,
  directory: string,
  fps: number,
  maxFrames: number,
): Promise<ClipFrames> {
  await mkdir(directory, { recursive: true });
  const filter = `fps=${fps},scale=w='min(${maxFrameWidthPx},iw)':h=-2:flags=area`;
  await finished(
    startFfmpeg([
      ...['-i', clip, '-an', '-vf', filter, '-frames:v', String(maxFrames)],
      ...['-pix_fmt', 'yuvj420p', '-q:v', '2', '-f', 'image2', join(directory, '%05d.jpg')],
    ]),
    clip,
  );
  const count = (await readdir(directory)).length;
  if (count === 0) throw new AppError('SIGHTLINE_CLIPS_UNUSABLE', `${basename(clip)} has no picture that can be read`);
  return { clip, directory, first: 1, count, size: await pictureSize(join(directory, frameName(1))) };
}

/** Name of a frame's file. */
export function frameName(number: number): string {
  return `${String(number).padStart(5, '0')}.jpg`;
}

/** All frames as the model's input wants them, scaled by the same filter as those of a camera; one process for a whole clip. */
export async function* readFrames(frames: ClipFrames, geometry: InputGeometry): AsyncGenerator<PlanarImage> {
  const { widthPx, heightPx } = inferenceSize(frames.size.widthPx, frames.size.heightPx, geometry);
  const length = widthPx * heightPx * 3;
  const child = startFfmpeg([
    ...[
      '-f',
      'image2',
      '-start_number',
      String(frames.first),
      '-i',
      join(frames.directory, '%05d.jpg'),
      '-frames:v',
      String(frames.count),
    ],
    ...['-vf', scaleFilter(geometry), '-f', 'rawvideo', '-pix_fmt', 'gbrp', 'pipe:1'],
  ]);
  const ended = finished(child, frames.clip);
  // It is awaited below; where the reader stops early, ffmpeg fails on its closed pipe and nobody is to hear of it.
  ended.catch(() => undefined);
  try {
    let data = new Uint8Array(length);
    let filled = 0;
    for await (const chunk of child.stdout as AsyncIterable<Buffer>) {
      for (let at = 0; at < chunk.length;) {
        const taken = Math.min(length - filled, chunk.length - at);
        data.set(chunk.subarray(at, at + taken), filled);
        at += taken;
        filled += taken;
        if (filled < length) continue;
        yield { format: 'gbrp', widthPx, heightPx, data };
        data = new Uint8Array(length);
        filled = 0;
      }
    }
    await ended;
  } finally {
    child.kill('SIGKILL');
  }
}

function startFfmpeg(args: readonly string[]) {
  return spawn('ffmpeg', ['-v', 'error', '-nostdin', ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
}

async function finished(child: ReturnType<typeof startFfmpeg>, clip: string): Promise<void> {
  let messages = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    messages = (messages + text).slice(-2000);
  });
  const kill = (): void => {
    child.kill('SIGKILL');
  };
  process.once('exit', kill);
  try {
    const [code] = (await once(child, 'close')) as [number | null];
    if (code === 0) return;
  } catch (error) {
    throw new AppError('SIGHTLINE_FFMPEG_MISSING', 'ffmpeg cannot be started', { cause: error });
  } finally {
    process.removeListener('exit', kill);
  }
  const reason = messages.trim().split('\n').at(-1)?.slice(0, 200) ?? '';
  throw new AppError('SIGHTLINE_CLIPS_UNUSABLE', `${basename(clip)} cannot be read: ${reason}`);
}
