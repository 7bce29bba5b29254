import { execFile } from 'node:child_process';
import { createHash, randomUUID } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { copyFile, mkdir, mkdtemp, readFile, rename, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { promisify } from 'node:util';
import { AppError } from '#shared/core/errors';
import type { Logger } from '#shared/core/logger';
import { renderDemoScene } from './demo-scene.ts';

const run = promisify(execFile);

export interface DemoClip {
  readonly path: string;
  /** One sentence for the user: what is shown and where it came from. */
  readonly description: string;
}

export interface DemoClipOptions {
  /** `SIGHTLINE_DEMO_CLIP`: a clip that the user named. */
  readonly named: string | undefined;
  /** Where clips are kept between runs. */
  readonly cacheDir: string;
  readonly ffmpegPath: string;
  readonly logger: Logger;
  /** False where nothing may be fetched: then only a named or kept clip, else the drawn scene. */
  readonly mayFetch: boolean;
  /** Public home of the clip and its sha256. */
  readonly download?: DownloadSource;
  /** Where Debian's opencv-doc, if it is installed, has its clip. */
  readonly debianClip?: string;
}

export interface DownloadSource {
  readonly url: string;
  readonly sha256: string;
}

const publicClip: DownloadSource = {
  url: 'https://github.com/intel-iot-devkit/sample-videos/raw/57978890822836f2b4743852f04f62fc511757e4/one-by-one-person-detection.mp4',
  sha256: 'a5964aa259099a482a8b360ffc2c57b5a30f84d5919236a4dad01f8e929ac07c',
};
const publicClipCredit = 'six people, one at a time, at a table (Intel IoT DevKit sample-videos, CC BY 4.0)';
const debianClip = '/usr/share/doc/opencv-doc/examples/data/vtest.avi';
const debianClipSha256 = '45cddc9490be69345cbdab64ca583be65987e864ca408038e648db99e10516cf';
const debianClipCredit = "pedestrians on a campus (vtest.avi of Debian's opencv-doc)";
/** A closed network often swallows the request instead of refusing it: the demo should not wait for that. */
const connectTimeoutMs = 3000;
const downloadTimeoutMs = 60_000;

/**
 * Finds a picture for the demo: a clip that the user named, one kept from an earlier run, one from its public home, Debian's sample clip,
 * or a scene drawn by ourselves, in this order. Throws SIGHTLINE_DEMO_UNAVAILABLE for a named clip that is not there.
 */
export async function findDemoClip(options: DemoClipOptions): Promise<DemoClip> {
  if (options.named !== undefined) {
    if (await isFile(options.named)) return { path: options.named, description: `your clip ${options.named}` };
    throw new AppError('SIGHTLINE_DEMO_UNAVAILABLE', `SIGHTLINE_DEMO_CLIP names no file: ${options.named}`);
  }
  await mkdir(options.cacheDir, { recursive: true });
  return (await fromPublicHome(options)) ?? (await fromDebian(options)) ?? (await drawn(options));
}

async function fromPublicHome(options: DemoClipOptions): Promise<DemoClip | undefined> {
  const source = options.download ?? publicClip;
  const kept = path.join(options.cacheDir, `demo-${source.sha256.slice(0, 12)}.mp4`);
  const clip: DemoClip = { path: kept, description: publicClipCredit };
  if (await isFile(kept)) return clip;
  if (!options.mayFetch) return undefined;
  const part = `${kept}.${randomUUID()}.part`;
  try {
    options.logger.info({}, 'fetching the demo clip, once');
    await download(source.url, part);
    if ((await sha256Of(part)) !== source.sha256) {
      options.logger.warn({}, 'the demo clip fetched is not the one expected (sha256 differs): not used');
      return undefined;
    }
    await rename(part, kept);
    return clip;
  } catch (error) {
    options.logger.debug({ err: error }, 'the demo clip could not be fetched from its public home');
    return undefined;
  } finally {
    await rm(part, { force: true });
  }
}

async function download(url: string, target: string): Promise<void> {
  const abort = new AbortController();
  const connectTimer = setTimeout(() => {
    abort.abort();
  }, connectTimeoutMs);
  const response = await fetch(url, {
    signal: AbortSignal.any([abort.signal, AbortSignal.timeout(downloadTimeoutMs)]),
  });
  clearTimeout(connectTimer);
  if (!response.ok || response.body === null) throw new Error(`HTTP status ${response.status}`);
  await pipeline(Readable.fromWeb(response.body), createWriteStream(target));
}

async function fromDebian(options: DemoClipOptions): Promise<DemoClip | undefined> {
  const installed = options.debianClip ?? debianClip;
  if (await isFile(installed)) return { path: installed, description: debianClipCredit };
  const kept = path.join(options.cacheDir, 'demo-vtest.avi');
  const clip: DemoClip = { path: kept, description: debianClipCredit };
  if (await isFile(kept)) return clip;
  if (!options.mayFetch || !(await isFile('/usr/bin/apt-get'))) return undefined;
  const work = await mkdtemp(path.join(tmpdir(), 'sightline-demo-'));
  try {
    options.logger.info({}, "fetching Debian's opencv-doc for its sample clip (about 95 MB, once)");
    // Downloaded and unpacked here, not installed: nothing of the system is changed.
    await run('apt-get', ['download', '-q', 'opencv-doc'], { cwd: work, timeout: downloadTimeoutMs });
    await run('sh', ['-c', `dpkg-deb --fsys-tarfile opencv-doc_*.deb | tar -xf - .${debianClip}`], { cwd: work });
    const clipFile = path.join(work, debianClip);
    if ((await sha256Of(clipFile)) !== debianClipSha256) return undefined;
    const part = `${kept}.${randomUUID()}.part`;
    await copyFile(clipFile, part);
    await rename(part, kept);
    return clip;
  } catch (error) {
    options.logger.debug({ err: error }, "Debian's sample clip could not be had");
    return undefined;
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

async function drawn(options: DemoClipOptions): Promise<DemoClip> {
  const kept = path.join(options.cacheDir, 'demo-scene.mp4');
  const clip: DemoClip = {
    path: kept,
    description: 'a street scene drawn by Sightline itself: no real clip could be had here',
  };
  if (await isFile(kept)) return clip;
  const part = path.join(options.cacheDir, `demo-scene.${randomUUID()}.part`);
  try {
    await renderDemoScene(options.ffmpegPath, part);
    await rename(part, kept);
    return clip;
  } finally {
    await rm(part, { force: true });
  }
}

async function isFile(file: string): Promise<boolean> {
  try {
    return (await stat(file)).isFile();
  } catch {
    return false;
  }
}

async function sha256Of(file: string): Promise<string> {
  return createHash('sha256')
    .update(await readFile(file))
    .digest('hex');
}
