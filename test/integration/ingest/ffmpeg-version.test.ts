import { execFileSync } from 'node:child_process';
import { chmod, copyFile, readFile, stat, symlink, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { detectFfmpeg } from '../../../services/ingest/adapters/ffmpeg/ffmpeg-version.ts';
import { temporaryFolder } from '../../support/ingest-files.ts';

/** What is kept in the folder, with its answer put in the place of the true one: where that comes back, ffmpeg was not asked. */
async function plant(folder: string, answer: string): Promise<void> {
  const file = join(folder, 'ffmpeg-version.json');
  const entry = JSON.parse(await readFile(file, 'utf8')) as object;
  await writeFile(file, JSON.stringify({ ...entry, answer }));
}

async function isKept(folder: string): Promise<boolean> {
  return stat(join(folder, 'ffmpeg-version.json')).then(
    () => true,
    () => false,
  );
}

/** An executable that is no script and that the system runs: enough to be told apart from another. */
async function nativeExecutable(path: string): Promise<void> {
  await copyFile('/bin/echo', path);
  await chmod(path, 0o755);
}

describe('the version of ffmpeg', () => {
  test('is asked once and then remembered, also where the folder is made for it', async () => {
    const folder = join(await temporaryFolder(), 'state');
    const asked = await detectFfmpeg('ffmpeg', folder);
    expect(asked).toEqual(await detectFfmpeg('ffmpeg'));
    expect(await detectFfmpeg('ffmpeg', folder)).toEqual(asked);
    await plant(folder, 'ffmpeg version 77.7 Copyright');
    expect(await detectFfmpeg('ffmpeg', folder)).toMatchObject({ major: 77, minor: 7 });
    expect((await detectFfmpeg('ffmpeg')).major).toBe(asked.major);
  });

  test('is asked again where what was kept is damaged, and too old an answer is refused', async () => {
    const folder = await temporaryFolder();
    const asked = await detectFfmpeg('ffmpeg', folder);
    await plant(folder, 'ffmpeg version 4.3 Copyright');
    await expect(detectFfmpeg('ffmpeg', folder)).rejects.toMatchObject({ code: 'SIGHTLINE_FFMPEG_MISSING' });
    for (const text of ['', '{', 'null', '{"binary":1,"answer":2}']) {
      await writeFile(join(folder, 'ffmpeg-version.json'), text);
      expect(await detectFfmpeg('ffmpeg', folder)).toEqual(asked);
    }
  });

  test('is not taken for that of another file', async () => {
    const folder = await temporaryFolder();
    const link = join(folder, 'ffmpeg');
    const real = execFileSync('which', ['ffmpeg']).toString().trim();
    await symlink(real, link);
    await detectFfmpeg(link, folder);
    await plant(folder, 'ffmpeg version 77.7 Copyright');
    expect((await detectFfmpeg(link, folder)).major).toBe(77);
    const other = join(folder, 'ffmpeg-other');
    await nativeExecutable(other);
    // /bin/echo does not answer like ffmpeg: that it was asked shows in the refusal.
    await expect(detectFfmpeg(other, folder)).rejects.toMatchObject({ code: 'SIGHTLINE_FFMPEG_MISSING' });
  });

  test('is asked each time of a script, which may start another ffmpeg tomorrow', async () => {
    const folder = await temporaryFolder();
    const script = join(folder, 'ffmpeg-wrapped');
    await writeFile(script, '#!/bin/sh\necho "ffmpeg version 6.1 Copyright"\n', { mode: 0o755 });
    expect(await detectFfmpeg(script, folder)).toMatchObject({ major: 6, minor: 1 });
    expect(await isKept(folder)).toBe(false);
    const { atime, mtime } = await stat(script);
    await writeFile(script, '#!/bin/sh\necho "ffmpeg version 7.1 Copyright"\n', { mode: 0o755 });
    await utimes(script, atime, mtime);
    expect(await detectFfmpeg(script, folder)).toMatchObject({ major: 7, minor: 1 });
  });

  test('comes also where nothing can be kept', async () => {
    const folder = await temporaryFolder();
    const file = join(folder, 'a-file');
    await writeFile(file, '');
    expect((await detectFfmpeg('ffmpeg', file)).major).toBeGreaterThanOrEqual(4);
  });
});
