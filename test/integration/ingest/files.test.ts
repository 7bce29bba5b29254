import { createHash } from 'node:crypto';
import { execFileSync } from 'node:child_process';
import { readFile, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { accountingGaps } from '../../support/ingest-doubles.ts';
import { geometry, makeClip, readFileToEnd, temporaryFolder, testPicture } from '../../support/ingest-files.ts';
import { testDataPath } from '../../support/test-data.ts';

const cars = testDataPath('videos/car-detection.mp4');
const people = testDataPath('videos/one-by-one-person-detection.mp4');

function sizes(run: Awaited<ReturnType<typeof readFileToEnd>>): string[] {
  const seen = run.pictures.map(
    ({ sourceWidthPx, sourceHeightPx, image }) =>
      `${sourceWidthPx}x${sourceHeightPx} as ${image.widthPx}x${image.heightPx}`,
  );
  return [...new Set(seen)];
}

describe('a real clip read until its end', () => {
  test.skipIf(cars === undefined)('gives one frame for each cell of the time grid, and no other', async () => {
    const path = cars ?? '';
    for (const fps of [1, 5, 7.5, 12.5, 30]) {
      const run = await readFileToEnd(path, { fps });
      // 377 frames at 12.5 a second; those of one cell give one frame.
      const cells = new Set(Array.from({ length: 377 }, (_, frame) => Math.floor((frame / 12.5 + 0.001) * fps)));
      expect(run.pictures, `${fps} fps`).toHaveLength(cells.size);
      expect(run.frames.map(({ frameSeq }) => frameSeq)).toEqual(run.frames.map((_, index) => index + 1));
      expect(accountingGaps(run.frames)).toEqual([]);
    }
  });

  test.skipIf(cars === undefined)('gives the very bytes that ffmpeg gives for each frame', async () => {
    const run = await readFileToEnd(cars ?? '', { fps: 5 });
    const ours = createHash('sha256');
    for (const { image } of run.pictures) ours.update(image.data);
    const filter =
      "select='isnan(prev_selected_t)+not(eq(floor((t+0.001)*5)\\,floor((prev_selected_t+0.001)*5)))',scale=416:234:flags=bilinear:out_color_matrix=bt601:out_range=tv,format=yuv420p";
    const theirs = execFileSync(
      'ffmpeg',
      ['-v', 'error', '-nostdin', '-i', cars ?? '', '-an', '-vf', filter, '-vsync', '0', '-f', 'rawvideo', '-'],
      { maxBuffer: 1 << 28 },
    );
    expect(ours.digest('hex')).toBe(createHash('sha256').update(theirs).digest('hex'));
    expect(run.pictures.map(({ times }) => times.ptsUs).slice(0, 4)).toEqual([0, 240_000, 400_000, 640_000]);
    expect(run.pictures[0]?.times).toMatchObject({
      captureTimeSource: 'CONTAINER',
      captureTimeErrorMs: null,
      captureTimeUs: Date.UTC(2018, 3, 19, 22, 46) * 1000,
    });
    expect(run.lastStatus).toMatchObject({
      state: 'ENDED',
      reason_code: 'END_OF_STREAM',
      codec: 'h264',
      width_px: 768,
      height_px: 432,
      declared_fps: 12.5,
    });
    expect(run.snapshot.progress).toBe(1);
  });

  test.skipIf(cars === undefined)('comes through ordinary pipes all the same, where there is no mkfifo', async () => {
    const run = await readFileToEnd(cars ?? '', { fps: 12.5 }, { openPipes: () => Promise.resolve(null) });
    expect(run.pictures).toHaveLength(377);
    expect(accountingGaps(run.frames)).toEqual([]);
  });

  test.skipIf(people === undefined)(
    'keeps frames with people under the filter, and tells of each frame that it held back',
    async () => {
      const run = await readFileToEnd(people ?? '', { fps: 5, filter: 'auto' });
      expect(run.snapshot.received).toBe(697);
      expect(run.snapshot.filtered).toBeGreaterThan(60);
      expect(accountingGaps(run.frames)).toEqual([]);
      const truth = (await readFile(testDataPath('tracking/one-by-one-person-detection.gt.txt') ?? '', 'utf8'))
        .trim()
        .split('\n');
      const withPeople = new Set(truth.map((line) => Number(line.split(/[, ]+/)[0])));
      const kept = new Set(run.pictures.map(({ times }) => Math.round((times.ptsUs ?? 0) / 100_000) + 1));
      const sampled = [...withPeople].filter((frame) => frame % 2 === 1);
      const found = sampled.filter((frame) => kept.has(frame));
      expect(found.length / sampled.length).toBeGreaterThanOrEqual(0.98);
    },
  );
});

describe('files that are not as they should be', () => {
  test.skipIf(cars === undefined)(
    'a damaged H.264 stream gives what can be decoded and counts the damage',
    async () => {
      const path = join(await temporaryFolder(), 'damaged.h264');
      makeClip('-i', cars ?? '', '-an', '-c', 'copy', '-bsf:v', 'h264_mp4toannexb', path);
      const bytes = await readFile(path);
      let state = 7;
      for (let count = 0; count < bytes.length * 0.0025; count++) {
        state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff;
        const at = 200 + (state % (bytes.length - 200));
        bytes[at] = (bytes[at] ?? 0) ^ (1 << (state >> 28));
      }
      await writeFile(path, bytes);
      const run = await readFileToEnd(path);
      expect(run.pictures.length).toBeGreaterThan(100);
      expect(run.snapshot.decodeErrors).toBeGreaterThan(100);
      expect(accountingGaps(run.frames)).toEqual([]);
    },
  );

  test.skipIf(cars === undefined)('an MP4 that was cut off in front of its index is damaged', async () => {
    const path = join(await temporaryFolder(), 'cut.mp4');
    makeClip('-i', cars ?? '', '-c', 'copy', '-an', path);
    await truncate(path, 400_000);
    const run = await readFileToEnd(path);
    expect(run.lastStatus).toMatchObject({ state: 'REJECTED', reason_code: 'CORRUPT', frame_seq: 0 });
    expect(run.snapshot.errorCode).toBe('SIGHTLINE_FILE_DAMAGED');
  });

  test.skipIf(cars === undefined)('an MP4 that was cut off behind its index gives its frames and says so', async () => {
    const path = join(await temporaryFolder(), 'cut.mp4');
    makeClip('-i', cars ?? '', '-c', 'copy', '-an', '-movflags', '+faststart', path);
    await truncate(path, 1_000_000);
    const run = await readFileToEnd(path);
    expect(run.pictures.length).toBeGreaterThan(20);
    expect(run.pictures.length).toBeLessThan(151);
    expect(run.lastStatus).toMatchObject({ state: 'ENDED', reason_code: 'CORRUPT' });
  });

  test.each([
    ['nothing at all', Buffer.alloc(0), 'SIGHTLINE_FILE_NOT_VIDEO', 'NO_VIDEO'],
    ['a text', Buffer.from('root:x:0:0:root:/root:/bin/bash\n'), 'SIGHTLINE_FILE_NOT_VIDEO', 'NO_VIDEO'],
    [
      'a concatenation script',
      Buffer.from("ffconcat version 1.0\nfile '/etc/passwd'\n"),
      'SIGHTLINE_FILE_NOT_VIDEO',
      'NO_VIDEO',
    ],
    ['a playlist', Buffer.from('#EXTM3U\n#EXTINF:1,\nhttp://192.0.2.1/x.ts\n'), 'SIGHTLINE_FILE_NOT_VIDEO', 'NO_VIDEO'],
    [
      'an MP4 head with nothing behind it',
      Buffer.from('\0\0\0\x18ftypisom\0\0\0\0isomiso2'),
      'SIGHTLINE_FILE_DAMAGED',
      'CORRUPT',
    ],
    [
      'noise with a start code',
      Buffer.concat([Buffer.from([0, 0, 0, 1, 0x67]), Buffer.alloc(5000, 0x5a)]),
      'SIGHTLINE_FILE_DAMAGED',
      'CORRUPT',
    ],
  ])('%s is refused', async (_name, bytes, errorCode, reason) => {
    const path = join(await temporaryFolder(), 'file.mp4');
    await writeFile(path, bytes);
    const run = await readFileToEnd(path);
    expect(run.snapshot).toMatchObject({ state: 'REJECTED', reason, errorCode, received: 0 });
    expect(run.frames).toEqual([]);
  });

  test('a path that leads nowhere, and one that leads to a folder, are refused', async () => {
    const folder = await temporaryFolder();
    for (const path of [join(folder, 'absent.mp4'), folder]) {
      const run = await readFileToEnd(path);
      expect(run.snapshot).toMatchObject({
        state: 'REJECTED',
        reason: 'NOT_FOUND',
        errorCode: 'SIGHTLINE_FILE_UNREADABLE',
      });
    }
  });

  test('a codec that is not on the list is named', async () => {
    const path = makeClip(...testPicture('64x48', 10, 1), '-c:v', 'huffyuv', join(await temporaryFolder(), 'clip.mkv'));
    const run = await readFileToEnd(path);
    expect(run.snapshot).toMatchObject({
      state: 'REJECTED',
      reason: 'CODEC_UNSUPPORTED',
      errorCode: 'SIGHTLINE_FILE_CODEC_UNSUPPORTED',
    });
    expect(run.snapshot.reasonText).toContain('huffyuv');
  });

  test('a file with sound only has no video', async () => {
    const path = makeClip('-f', 'lavfi', '-i', 'sine=duration=1', join(await temporaryFolder(), 'sound.mp4'));
    const run = await readFileToEnd(path);
    expect(run.snapshot).toMatchObject({
      state: 'REJECTED',
      reason: 'NO_VIDEO',
      errorCode: 'SIGHTLINE_FILE_NOT_VIDEO',
    });
  });
});

describe('sizes', () => {
  test('odd sizes come through exact', async () => {
    const path = makeClip(
      ...testPicture('641x359', 10, 1),
      '-c:v',
      'libx264',
      '-pix_fmt',
      'yuv444p',
      join(await temporaryFolder(), 'odd.mp4'),
    );
    const run = await readFileToEnd(path);
    expect(sizes(run)).toEqual(['641x359 as 416x232']);
    expect(run.pictures).toHaveLength(5);
  });

  test('a rotated clip has the size that people see', async () => {
    const folder = await temporaryFolder();
    const flat = makeClip(
      ...testPicture('320x180', 10, 1),
      '-c:v',
      'libx264',
      '-pix_fmt',
      'yuv420p',
      join(folder, 'flat.mp4'),
    );
    const path = makeClip('-i', flat, '-c', 'copy', '-metadata:s:v:0', 'rotate=90', join(folder, 'rotated.mp4'));
    expect(sizes(await readFileToEnd(path))).toEqual(['180x320 as 234x416']);
  });

  test('a file of one frame gives one frame', async () => {
    const path = makeClip(
      ...testPicture('320x180', 10, 1),
      '-frames:v',
      '1',
      '-c:v',
      'libx264',
      '-pix_fmt',
      'yuv420p',
      join(await temporaryFolder(), 'one.mp4'),
    );
    const run = await readFileToEnd(path);
    expect(run.pictures).toHaveLength(1);
    expect(run.lastStatus).toMatchObject({ state: 'ENDED', reason_code: 'END_OF_STREAM', frame_seq: 1 });
  });

  test('a change of size in the middle of a stream changes the frames with it', async () => {
    const folder = await temporaryFolder();
    const parts = ['320x180', '240x240', '641x359'].map((size, index) =>
      // Without B-frames: those that a decoder still holds when the size changes are lost in it.
      makeClip(
        ...testPicture(size, 10, 1),
        '-c:v',
        'libx264',
        '-bf',
        '0',
        '-pix_fmt',
        'yuv444p',
        '-bsf:v',
        'h264_mp4toannexb',
        join(folder, `${index}.h264`),
      ),
    );
    const path = join(folder, 'changing.h264');
    await writeFile(path, Buffer.concat(await Promise.all(parts.map((part) => readFile(part)))));
    const run = await readFileToEnd(path, { fps: 30 });
    expect(sizes(run)).toEqual(['320x180 as 416x234', '240x240 as 416x416', '641x359 as 416x232']);
    expect(run.pictures).toHaveLength(30);
    expect(run.lastStatus).toMatchObject({ width_px: 641, height_px: 359 });
    const fit = {
      ...geometry,
      resize: { mode: 'letterbox', anchor: 'top_left', padValue: 114, shape: 'fit' },
    } as const;
    const fitted = await readFileToEnd(path, { fps: 30 }, { geometry: () => fit });
    expect(sizes(fitted)).toEqual(['320x180 as 512x288', '240x240 as 416x416', '641x359 as 514x288']);
  });

  test('a region of interest is cut to the pixel and told with the frame', async () => {
    const path = makeClip(
      ...testPicture('641x359', 5, 1),
      '-c:v',
      'libx264',
      '-pix_fmt',
      'yuv444p',
      join(await temporaryFolder(), 'odd.mp4'),
    );
    const run = await readFileToEnd(path, { crop: { x: 0.25, y: 0.1, width: 0.5, height: 0.33 } });
    // Left floor(160.25), right ceil(480.75), top floor(35.9), bottom ceil(154.37): 321 x 120 pixels.
    expect(run.pictures[0]?.crop).toEqual({ x: 160 / 641, y: 35 / 359, width: 321 / 641, height: 120 / 359 });
    expect(sizes(run)).toEqual(['641x359 as 416x155']);
  });

  test('an 8K clip is read, and a header beyond it refused without the memory for it', async () => {
    const folder = await temporaryFolder();
    const large = makeClip(...testPicture('7680x4320', 1, 1), '-c:v', 'mjpeg', '-q:v', '20', join(folder, '8k.avi'));
    expect(sizes(await readFileToEnd(large))).toEqual(['7680x4320 as 416x234']);
    const beyond = makeClip(
      '-f',
      'lavfi',
      '-i',
      'color=size=16000x12000:rate=1:duration=1',
      '-c:v',
      'mjpeg',
      '-q:v',
      '31',
      '-pix_fmt',
      'yuvj420p',
      join(folder, '16k.avi'),
    );
    expect((await readFileToEnd(beyond)).snapshot).toMatchObject({ state: 'REJECTED', received: 0 });
  });
});

test('a clip is read the same through ordinary pipes', async () => {
  const clip = makeClip(...testPicture('320x180', 25, 4), join(await temporaryFolder(), 'clip.mp4'));
  const run = await readFileToEnd(clip, { filter: 'auto' }, { openPipes: () => Promise.resolve(null) });
  expect(run.snapshot).toMatchObject({ state: 'ENDED', received: 20 });
  expect(accountingGaps(run.frames)).toEqual([]);
});
