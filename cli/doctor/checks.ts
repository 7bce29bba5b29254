import { execFile } from 'node:child_process';
import { constants, existsSync, readFileSync } from 'node:fs';
import { access, mkdtemp, rm, stat, statfs } from 'node:fs/promises';
import { availableParallelism, totalmem } from 'node:os';
import { basename, dirname, join, resolve } from 'node:path';
import { promisify } from 'node:util';

import { cgroupProcessors, cpuFeatures } from './cpu-features.ts';
import {
  missingCapabilities,
  neededCapabilities,
  parseFfmpegVersion,
  type CapabilityKind,
} from './ffmpeg-capabilities.ts';

/** One row of `sightline doctor`. `missing` means that Sightline cannot do its work; `warn` that it can, worse or not everywhere. */
export interface DoctorRow {
  readonly check: string;
  readonly state: 'ok' | 'warn' | 'missing';
  readonly found: string;
  /** The command or step that mends it. */
  readonly mend?: string;
}

const run = promisify(execFile);
const askTimeoutMs = 10_000;
const oldestFfmpegMajor = 5;
const oldestNodeMajor = 24;
const leastFreeBytes = 2 * 1024 ** 3;
const leastMemoryBytes = 1024 ** 3;
const installFfmpeg = process.platform === 'darwin' ? 'brew install ffmpeg' : 'sudo apt-get install -y ffmpeg';

export function checkNode(version: string = process.versions.node): DoctorRow {
  const isNew = Number.parseInt(version, 10) >= oldestNodeMajor;
  return { check: 'node', state: isNew ? 'ok' : 'missing', found: version, ...(isNew ? {} : { mend: 'npm ci' }) };
}

export async function checkFfmpeg(program: string): Promise<DoctorRow[]> {
  const check = 'ffmpeg';
  let text: string;
  try {
    text = (await ask(program, '-version')).split('\n', 1)[0] ?? '';
  } catch {
    return [{ check, state: 'missing', found: `${program} cannot be run`, mend: installFfmpeg }];
  }
  const { shown, major } = parseFfmpegVersion(text);
  const isOld = major !== undefined && major < oldestFfmpegMajor;
  const version: DoctorRow = {
    check,
    state: isOld ? 'warn' : 'ok',
    found: `${shown} (${program})`,
    ...(isOld ? { mend: `use ffmpeg ${oldestFfmpegMajor} or later; name it in SIGHTLINE_FFMPEG` } : {}),
  };
  const kinds = Object.keys(neededCapabilities) as CapabilityKind[]; // the keys of our own constant
  const missing = (
    await Promise.all(
      kinds.map(async (kind) =>
        missingCapabilities(kind, await ask(program, `-${kind}`)).map((name) => `${kind} ${name}`),
      ),
    )
  ).flat();
  const parts: DoctorRow = {
    check: 'ffmpeg parts',
    state: missing.length === 0 ? 'ok' : 'warn',
    found: missing.length === 0 ? 'all that Sightline uses' : `without ${missing.join(', ')}`,
    ...(missing.length === 0 ? {} : { mend: 'use a full build of ffmpeg; name it in SIGHTLINE_FFMPEG' }),
  };
  return [version, parts];
}

/** fluent-ffmpeg asks ffprobe; it lies beside ffmpeg, or on the PATH. */
export async function checkFfprobe(ffmpeg: string): Promise<DoctorRow> {
  const beside = join(dirname(ffmpeg), basename(ffmpeg).replace('ffmpeg', 'ffprobe'));
  const program = ffmpeg.includes('/') && existsSync(beside) ? beside : 'ffprobe';
  try {
    const { shown } = parseFfmpegVersion(await ask(program, '-version'));
    return { check: 'ffprobe', state: 'ok', found: `${shown} (${program})` };
  } catch {
    return { check: 'ffprobe', state: 'missing', found: `${program} cannot be run`, mend: installFfmpeg };
  }
}

export function checkProcessor(): DoctorRow {
  const cpuinfo = readOrUndefined('/proc/cpuinfo');
  const names = cpuinfo === undefined ? undefined : cpuFeatures(cpuinfo);
  const cores = availableParallelism();
  const limit = cgroupProcessors(readOrUndefined('/sys/fs/cgroup/cpu.max') ?? '');
  const allowed = limit === undefined ? '' : `, of which this container may use ${limit}`;
  const known =
    names === undefined ? 'instructions not known here' : names.join(', ') || 'no vector instructions that help';
  const isSlow = names?.length === 0;
  return {
    check: 'processor',
    state: isSlow || (limit ?? cores) < 1 ? 'warn' : 'ok',
    found: `${cores} ${cores === 1 ? 'processor' : 'processors'}${allowed}; ${known}`,
    ...(isSlow ? { mend: 'models run several times slower here; use a processor with AVX2 or NEON' } : {}),
  };
}

export function checkMemory(): DoctorRow {
  const limitText = readOrUndefined('/sys/fs/cgroup/memory.max')?.trim();
  const limit = limitText === undefined || limitText === 'max' ? Infinity : Number(limitText);
  const bytes = Math.min(totalmem(), Number.isFinite(limit) ? limit : Infinity);
  const isLittle = bytes < leastMemoryBytes;
  return {
    check: 'memory',
    state: isLittle ? 'warn' : 'ok',
    found: gigabytes(bytes),
    ...(isLittle ? { mend: 'give this machine or container at least 1 GB' } : {}),
  };
}

/** Whether we can write into a directory, or make it where it is not there yet; and how much room there is. */
export async function checkDirectory(check: string, directory: string): Promise<DoctorRow[]> {
  const nearest = nearestExisting(resolve(directory));
  const shown = nearest === resolve(directory) ? nearest : `${resolve(directory)} (not there yet)`;
  try {
    if (!(await stat(nearest)).isDirectory())
      return [
        {
          check,
          state: 'missing',
          found: `${nearest} is not a directory`,
          mend: `choose another place than ${nearest}`,
        },
      ];
    await access(nearest, constants.W_OK | constants.X_OK);
    // Only a try tells: a read-only file system or a foreign one may grant access and refuse the write.
    await rm(await mkdtemp(join(nearest, '.sightline-doctor-')), { recursive: true });
  } catch {
    return [
      {
        check,
        state: 'missing',
        found: `${shown} cannot be written to`,
        mend: `sudo chown -R "$USER" '${nearest}', or choose another place`,
      },
    ];
  }
  const { bavail, bsize } = await statfs(nearest);
  const freeBytes = bavail * bsize;
  const isLittle = freeBytes < leastFreeBytes;
  return [
    { check, state: 'ok', found: shown },
    {
      check: `${check} space`,
      state: isLittle ? 'warn' : 'ok',
      found: `${gigabytes(freeBytes)} free`,
      ...(isLittle ? { mend: 'free some room, or choose a place with more' } : {}),
    },
  ];
}

/** Capture times are worth as much as this machine's clock. Only said where the system can tell at no cost. */
export function checkClock(): DoctorRow {
  const check = 'clock';
  if (existsSync('/run/systemd/timesync/synchronized'))
    return { check, state: 'ok', found: 'synchronised (systemd-timesyncd)' };
  if (existsSync('/run/chrony/chronyd.pid') || existsSync('/run/ntpd.pid'))
    return { check, state: 'ok', found: 'kept by a time daemon' };
  if (existsSync('/run/systemd/timesync')) {
    return { check, state: 'warn', found: 'not synchronised yet', mend: 'sudo timedatectl set-ntp true' };
  }
  return { check, state: 'ok', found: 'not told here (a container keeps the time of its host)' };
}

async function ask(program: string, question: string): Promise<string> {
  const { stdout } = await run(program, ['-hide_banner', question], {
    timeout: askTimeoutMs,
    maxBuffer: 8 * 1024 * 1024,
  });
  return stdout;
}

function nearestExisting(path: string): string {
  let nearest = path;
  while (!existsSync(nearest) && dirname(nearest) !== nearest) nearest = dirname(nearest);
  return nearest;
}

function readOrUndefined(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}

function gigabytes(bytes: number): string {
  return `${(bytes / 1e9).toFixed(1)} GB`;
}
