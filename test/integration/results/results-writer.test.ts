import { execFile, spawn } from 'node:child_process';
import { mkdir, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { PassThrough } from 'node:stream';
import { promisify } from 'node:util';
import { describe, expect, onTestFinished, test } from 'vitest';
import type { ResultsWriter } from '../../../services/results/core/ports.ts';
import { findResultsFiles } from '../../../services/results/results-reader.ts';
import { makeCameraStatus, makeDetectionFrame } from '../../support/result-records.ts';
import { makeDirectory, openWriter, readBack } from './results-files.ts';

const run = promisify(execFile);
const isRoot = process.getuid?.() === 0;

async function writeFrames(writer: ResultsWriter, count: number): Promise<void> {
  for (let seq = 1; seq <= count; seq += 1)
    await writer.writeDetections(makeDetectionFrame({ header: { frame_seq: seq } }));
}

/** Writes until the writer refuses; the error that it gives. */
async function writeUntilRefused(writer: ResultsWriter): Promise<unknown> {
  for (let seq = 1; seq <= 1_000_000; seq += 1) {
    try {
      await writer.writeDetections(makeDetectionFrame({ header: { frame_seq: seq } }));
    } catch (error) {
      return error;
    }
    if (seq % 100 === 0) await new Promise(setImmediate);
  }
  throw new Error('a million records were accepted');
}

describe('results written to a file', () => {
  test('hold every record, detections and statuses in a file each', async () => {
    const path = join(await makeDirectory(), 'out.avro');
    const writer = openWriter(path);
    await writer.writeStatus(makeCameraStatus());
    await writeFrames(writer, 1000);
    await writer.close();
    const { frames, endings } = await readBack([path]);
    expect(frames).toEqual(Array.from({ length: 1000 }, (_, index) => `gate 1/${index + 1}`));
    expect(endings).toEqual(['complete']);
    expect(await readBack([path.replace('.avro', '.camera-status.avro')])).toMatchObject({
      statuses: 1,
      endings: ['complete'],
    });
    expect(writer.counts()).toMatchObject({ recordsWritten: 1001, recordsLost: 0 });
  });

  test('can be read within a second or so while the writer still runs', async () => {
    const path = join(await makeDirectory(), 'out.avro');
    const writer = openWriter(path);
    await writeFrames(writer, 3);
    await expect.poll(async () => (await readBack([path])).frames.length, { timeout: 5000 }).toBe(3);
    await writer.close();
  });

  test('are there, and empty, after a run without results', async () => {
    const path = join(await makeDirectory(), 'out.avro');
    await openWriter(path).close();
    expect(await readBack([path])).toEqual({ frames: [], statuses: 0, endings: ['complete'] });
  });

  test('never cost the results of an earlier run, which keep their pair of names', async () => {
    const directory = await makeDirectory();
    const path = join(directory, 'out.avro');
    for (const count of [5, 3, 1]) {
      const writer = openWriter(path);
      await writer.writeStatus(makeCameraStatus());
      await writeFrames(writer, count);
      await writer.close();
    }
    expect((await readBack([path])).frames).toHaveLength(1);
    const names = await readdir(directory);
    const kept = names.filter((name) => /^out\.\d{8}T\d{6}Z(-\d)?\.avro$/.test(name));
    expect(kept).toHaveLength(2);
    expect(names).toHaveLength(6);
    for (const name of kept) expect(names).toContain(name.replace(/\.avro$/, '.camera-status.avro'));
    const counts = await Promise.all(kept.map(async (name) => (await readBack([join(directory, name)])).frames.length));
    expect(counts.sort()).toEqual([3, 5]);
  });

  test.each(['out.avro', 'out.camera-status.avro', 'out.jsonl'])(
    'leave a file %s that is not ours as it was',
    async (foreign) => {
      const directory = await makeDirectory();
      await writeFile(join(directory, foreign), 'precious');
      const writer = openWriter(join(directory, foreign === 'out.jsonl' ? 'out.jsonl' : 'out.avro'));
      await expect(writer.open()).rejects.toMatchObject({ code: 'SIGHTLINE_RESULTS_FOREIGN_FILE' });
      await expect(writer.close()).rejects.toMatchObject({ code: 'SIGHTLINE_RESULTS_FOREIGN_FILE' });
      expect(await readFile(join(directory, foreign), 'utf8')).toBe('precious');
      expect(await readdir(directory)).toEqual([foreign]);
    },
  );

  test('are smaller with deflate and read the same', async () => {
    const directory = await makeDirectory();
    const sizes: number[] = [];
    for (const compression of ['null', 'deflate'] as const) {
      const path = join(directory, `${compression}.avro`);
      const writer = openWriter(path, { compression });
      await writeFrames(writer, 500);
      await writer.close();
      expect((await readBack([path])).frames).toHaveLength(500);
      sizes.push((await stat(path)).size);
    }
    expect(sizes[1]).toBeLessThan((sizes[0] ?? 0) / 2);
  });
});

test('a directory gets a new file when one is full, and all of them together hold every record once', async () => {
  const directory = join(await makeDirectory(), 'new/results');
  const writer = openWriter(directory, { rotation: { maxFileBytes: 100_000, maxFileAgeMs: 3_600_000 } });
  await writer.writeStatus(makeCameraStatus());
  await writeFrames(writer, 1000);
  await writer.close();
  const files = await findResultsFiles([directory], { withStatusesBeside: false });
  expect(files.filter((file) => file.includes('/detections-')).length).toBeGreaterThan(3);
  expect(files.filter((file) => file.includes('/camera-status-'))).toHaveLength(1);
  const { frames, statuses } = await readBack(files);
  expect(frames).toEqual(Array.from({ length: 1000 }, (_, index) => `gate 1/${index + 1}`));
  expect(statuses).toBe(1);
});

describe('JSON lines', () => {
  test('in a file hold both records in the order they came', async () => {
    const path = join(await makeDirectory(), 'out.jsonl');
    const writer = openWriter(path);
    await writer.writeStatus(makeCameraStatus());
    await writeFrames(writer, 2);
    await writer.close();
    const lines = (await readFile(path, 'utf8'))
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as { type: string });
    expect(lines.map(({ type }) => type)).toEqual(['camera_status', 'detection_frame', 'detection_frame']);
    expect(await readBack([path])).toEqual({ frames: ['gate 1/1', 'gate 1/2'], statuses: 1, endings: ['complete'] });
  });

  test('cut anywhere give every whole line', async () => {
    const directory = await makeDirectory();
    const writer = openWriter(join(directory, 'out.jsonl'));
    await writeFrames(writer, 3);
    await writer.close();
    const bytes = await readFile(join(directory, 'out.jsonl'));
    const cut = join(directory, 'cut.jsonl');
    await writeFile(cut, bytes.subarray(0, bytes.length - 20));
    expect(await readBack([cut])).toEqual({ frames: ['gate 1/1', 'gate 1/2'], statuses: 0, endings: ['torn'] });
    await writeFile(cut, Buffer.concat([bytes.subarray(0, bytes.indexOf('\n') + 1), Buffer.from('garbage\n'), bytes]));
    expect(await readBack([cut])).toEqual({ frames: ['gate 1/1'], statuses: 0, endings: ['corrupt'] });
  });

  test('on a stream come at once and leave the stream open', async () => {
    const stream = new PassThrough();
    const writer = openWriter('-', { standardOutput: stream });
    await writeFrames(writer, 1);
    await expect.poll(() => String(stream.read() ?? '')).toMatch(/^\{"type":"detection_frame".*\}\n$/);
    await writer.close();
    expect(stream.writable).toBe(true);
  });

  test('to a reader that has gone are refused', async () => {
    const stream = new PassThrough();
    const writer = openWriter('-', { standardOutput: stream });
    await writeFrames(writer, 1);
    stream.destroy();
    expect(await writeUntilRefused(writer)).toMatchObject({ code: 'SIGHTLINE_RESULTS_WRITE_FAILED' });
  });
});

describe('a place that cannot take results', () => {
  test('a full disk: what was written before is whole, what was not is counted', async ({ skip }) => {
    const directory = await makeDirectory();
    try {
      await run('mount', ['-t', 'tmpfs', '-o', 'size=512k', 'tmpfs', directory]);
      onTestFinished(async () => {
        await run('umount', [directory]);
      });
    } catch {
      skip('a small file system cannot be mounted here');
    }
    const path = join(directory, 'out.avro');
    const writer = openWriter(path);
    const error = await writeUntilRefused(writer);
    expect(error).toMatchObject({ code: 'SIGHTLINE_RESULTS_DISK_FULL' });
    await expect(writer.writeDetections(makeDetectionFrame())).rejects.toBe(error);
    await expect(writer.close()).rejects.toBe(error);
    const { frames, endings } = await readBack([path]);
    expect(endings).toEqual(['complete']);
    expect(frames.length).toBeGreaterThan(100);
    expect(writer.counts()).toMatchObject({ recordsWritten: frames.length });
    expect(writer.counts().recordsLost).toBeGreaterThan(0);
  });

  test('a device that is always full', async () => {
    const path = join(await makeDirectory(), 'out.avro');
    await symlink('/dev/full', path);
    const writer = openWriter(path);
    await expect(writer.open()).rejects.toMatchObject({ code: 'SIGHTLINE_RESULTS_DISK_FULL' });
    await expect(writer.writeStatus(makeCameraStatus())).rejects.toMatchObject({ code: 'SIGHTLINE_RESULTS_DISK_FULL' });
    expect(writer.counts()).toMatchObject({ recordsWritten: 0, recordsLost: 1 });
  });

  test('a directory that is not ours to write to', async () => {
    const directory = await makeDirectory();
    await mkdir(join(directory, 'locked'), { mode: 0o555 });
    const child = resolve(import.meta.dirname, '../../support/results-writer-child.ts');
    // Root may write anywhere, so there the child is somebody else.
    const user = isRoot ? { uid: 65_534, gid: 65_534 } : {};
    const writer = spawn(process.execPath, [child, join(directory, 'locked/out.avro')], {
      ...user,
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    onTestFinished(() => {
      writer.kill('SIGKILL');
    });
    let output = '';
    for await (const chunk of writer.stdout) output += String(chunk);
    expect(JSON.parse(output)).toMatchObject({
      code: 'SIGHTLINE_RESULTS_NOT_WRITABLE',
      counts: { recordsWritten: 0, recordsLost: 1 },
    });
  });

  test('a directory that is not there', async () => {
    const writer = openWriter(join(await makeDirectory(), 'missing/out.avro'));
    await expect(writer.open()).rejects.toMatchObject({ code: 'SIGHTLINE_RESULTS_NOT_WRITABLE' });
  });

  test('a directory that vanishes while it is written to', async () => {
    const directory = join(await makeDirectory(), 'results');
    const writer = openWriter(`${directory}/`);
    await writeFrames(writer, 10);
    await rm(directory, { recursive: true });
    expect(await writeUntilRefused(writer)).toMatchObject({ code: 'SIGHTLINE_RESULTS_WRITE_FAILED' });
  });
});
