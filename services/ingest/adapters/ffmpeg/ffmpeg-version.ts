import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { AppError } from '#shared/core/errors';
import { openAnswerMemory } from './answer-memory.ts';

export interface FfmpegVersion {
  /** As it prints itself, for people. */
  readonly text: string;
  readonly major: number;
  readonly minor: number;
}

/** What differs between the versions that we run with, in one place. */
export interface FfmpegDialect {
  /** The option that passes frames on as they come: `-vsync` was renamed in 5.1 and is gone in 8. */
  readonly frameSyncOption: '-fps_mode' | '-vsync';
  /** The option of the RTSP demuxer that bounds a read: `-timeout` meant listening before 5.0. */
  readonly rtspTimeoutOption: '-timeout' | '-stimeout';
}

/** `-noautoscale` came with it. */
const oldest = { major: 4, minor: 4 };
/** A version that does not tell its number is built from a recent source tree. */
const unnumbered = { major: 99, minor: 0 };

export function dialectOf(version: Pick<FfmpegVersion, 'major' | 'minor'>): FfmpegDialect {
  return {
    frameSyncOption: isAtLeast(version, 5, 1) ? '-fps_mode' : '-vsync',
    rtspTimeoutOption: isAtLeast(version, 5, 0) ? '-timeout' : '-stimeout',
  };
}

/** Reads the first line of `ffmpeg -version`; null where it is not ffmpeg's. */
export function parseFfmpegVersion(output: string): FfmpegVersion | null {
  const text = /^ffmpeg version (\S+)/.exec(output)?.[1];
  if (text === undefined) return null;
  const numbers = /^n?(\d+)\.(\d+)/.exec(text);
  if (numbers === null) return { text, ...unnumbered };
  return { text, major: Number(numbers[1]), minor: Number(numbers[2]) };
}

/**
 * Asks ffmpeg, or its answer in `memoryFolder` where its file has not changed since. Throws SIGHTLINE_FFMPEG_MISSING where there is no
 * ffmpeg that we can use.
 */
export async function detectFfmpeg(path: string, memoryFolder?: string): Promise<FfmpegVersion> {
  const memory = memoryFolder === undefined ? null : await openAnswerMemory(path, memoryFolder);
  const remembered = parseFfmpegVersion((await memory?.recall()) ?? '');
  if (remembered !== null) return checkAge(remembered);
  const answer = await ask(path);
  const version = parseFfmpegVersion(answer);
  if (version === null) throw new AppError('SIGHTLINE_FFMPEG_MISSING', `${path} does not answer like ffmpeg`);
  checkAge(version);
  await memory?.remember(answer.slice(0, answer.indexOf('\n')));
  return version;
}

async function ask(path: string): Promise<string> {
  try {
    return (await promisify(execFile)(path, ['-hide_banner', '-version'], { timeout: 10_000 })).stdout;
  } catch (cause) {
    throw new AppError('SIGHTLINE_FFMPEG_MISSING', `${path} could not be run`, { cause });
  }
}

function checkAge(version: FfmpegVersion): FfmpegVersion {
  if (!isAtLeast(version, oldest.major, oldest.minor)) {
    throw new AppError(
      'SIGHTLINE_FFMPEG_MISSING',
      `ffmpeg ${version.text} is too old; ${oldest.major}.${oldest.minor} or newer is needed`,
    );
  }
  return version;
}

function isAtLeast(version: Pick<FfmpegVersion, 'major' | 'minor'>, major: number, minor: number): boolean {
  return version.major > major || (version.major === major && version.minor >= minor);
}
