import { createHash } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { findDemoClip, type DemoClipOptions } from '../../../cli/demo/demo-clip.ts';

const silent = { debug: ignore, info: ignore, warn: ignore, error: ignore, child: () => silent };
function ignore(): void {
  // The tests look at what comes back, not at the log.
}

const clipBytes = Buffer.from('a clip, for all that the downloader knows');

async function serveClip(): Promise<string> {
  const server = createServer((_, response) => response.end(clipBytes));
  onTestFinished(() => {
    server.close();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  // listen() on a port gives an AddressInfo, never a pipe's name.
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/clip.mp4`;
}

async function options(overrides: Partial<DemoClipOptions> = {}): Promise<DemoClipOptions> {
  const cacheDir = await mkdtemp(path.join(tmpdir(), 'sightline-test-'));
  onTestFinished(() => rm(cacheDir, { recursive: true, force: true }));
  return {
    named: undefined,
    cacheDir,
    ffmpegPath: process.env['SIGHTLINE_FFMPEG'] ?? 'ffmpeg',
    logger: silent,
    mayFetch: false,
    // Whether this machine has opencv-doc is no matter of the test.
    debianClip: path.join(cacheDir, 'not-installed.avi'),
    ...overrides,
  };
}

describe('demo clip', () => {
  it('takes the clip that the user named', async () => {
    const given = await options();
    const named = path.join(given.cacheDir, 'mine.mp4');
    await writeFile(named, clipBytes);
    expect(await findDemoClip({ ...given, named })).toMatchObject({ path: named });
  });

  it('refuses a named clip that is not there', async () => {
    await expect(findDemoClip(await options({ named: '/nowhere/clip.mp4' }))).rejects.toMatchObject({
      code: 'SIGHTLINE_DEMO_UNAVAILABLE',
    });
  });

  it('fetches the clip from its public home once and keeps it', async () => {
    const sha256 = createHash('sha256').update(clipBytes).digest('hex');
    const given = await options({ mayFetch: true, download: { url: await serveClip(), sha256 } });
    const clip = await findDemoClip(given);
    expect(await readFile(clip.path)).toEqual(clipBytes);
    expect(await findDemoClip({ ...given, mayFetch: false })).toEqual(clip);
  });

  it("takes the clip of Debian's opencv-doc where that is installed", async () => {
    const given = await options();
    const debianClip = path.join(given.cacheDir, 'vtest.avi');
    await writeFile(debianClip, clipBytes);
    expect(await findDemoClip({ ...given, debianClip })).toMatchObject({
      path: debianClip,
      description: expect.stringContaining('opencv-doc') as string,
    });
  });

  it('draws its own scene where no clip can be had, and keeps it', async () => {
    const given = await options();
    const clip = await findDemoClip(given);
    expect(clip.description).toContain('drawn by Sightline');
    expect((await readFile(clip.path)).subarray(4, 8).toString()).toBe('ftyp');
    expect(await findDemoClip(given)).toEqual(clip);
  });
});
