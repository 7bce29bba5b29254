import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile, truncate, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { findResultsFiles } from '../../../services/results/results-reader.ts';
import { installFastavro, type FastavroReader } from '../../support/python-with-fastavro.ts';
import { makeCameraStatus, makeDetectionFrame } from '../../support/result-records.ts';
import { makeDirectory, openWriter, readBack, runResults } from './results-files.ts';

let fastavro: FastavroReader | undefined;
beforeAll(async () => {
  fastavro = await installFastavro();
}, 180_000);
afterAll(() => fastavro?.remove());

/** Starts a writer, lets it have this many records accepted, and kills it with -9. */
async function killWriterAfter(records: number, destination: string): Promise<void> {
  const child = resolve(import.meta.dirname, '../../support/results-writer-child.ts');
  const writer = spawn(process.execPath, [child, destination], { stdio: ['ignore', 'pipe', 'inherit'] });
  onTestFinished(() => {
    writer.kill('SIGKILL');
  });
  const ended = once(writer, 'exit');
  let output = '';
  for await (const chunk of writer.stdout) {
    output += String(chunk);
    const accepted = Number(output.trimEnd().split('\n').at(-1));
    if (accepted >= records) writer.kill('SIGKILL');
  }
  expect(await ended).toEqual([null, 'SIGKILL']);
}

describe.each([
  ['a file', 'out.avro'],
  ['a directory that is rotated', 'results/'],
])('after kill -9 of a writer to %s', (_what, name) => {
  test.each([400, 3000, 20_000])(
    'every finished block is read, and its accounting holds (%i records)',
    async (records) => {
      const destination = join(await makeDirectory(), name);
      await killWriterAfter(records, destination);
      const files = (await findResultsFiles([destination], { withStatusesBeside: false })).filter(
        (file) => !file.includes('camera-status'),
      );
      const { frames, endings } = await readBack(files);
      expect(new Set(endings.slice(0, -1)).size).toBeLessThanOrEqual(1);
      const verified = await runResults('verify', '--json', destination);
      expect(verified).toMatchObject({ exitCode: 0, stderr: '' });
      expect(JSON.parse(verified.stdout)).toMatchObject({ holds: true, records: frames.length });
      if (fastavro === undefined) return;
      const found = await fastavro.read(files);
      expect(found.reduce((sum, file) => sum + file.records, 0)).toBe(frames.length);
    },
  );
});

test('a block that a kill cut in two costs only itself, for us and for fastavro', async () => {
  const path = join(await makeDirectory(), 'out.avro');
  const writer = openWriter(path);
  for (let seq = 1; seq <= 400; seq += 1)
    await writer.writeDetections(makeDetectionFrame({ header: { frame_seq: seq } }));
  await writer.close();
  const { length } = await readFile(path);
  await truncate(path, length - 5);
  const { frames, endings } = await readBack([path]);
  expect(endings).toEqual(['torn']);
  expect(frames.length).toBeGreaterThan(50);
  expect(frames.length).toBeLessThan(400);
  const verified = await runResults('verify', path);
  expect(verified.exitCode).toBe(0);
  expect(verified.stdout).toContain('open end');
  expect((await runResults('verify', '--strict', path)).exitCode).toBe(1);
  const cat = await runResults('cat', path);
  expect(cat.exitCode).toBe(0);
  expect(cat.stdout.trimEnd().split('\n')).toHaveLength(frames.length);
  expect(cat.stderr).toContain('the last block is not whole');
  if (fastavro === undefined) return;
  const [found] = await fastavro.read([path]);
  expect(found?.ending).not.toBe('complete');
  expect(found?.records).toBeGreaterThanOrEqual(frames.length);
});

test('fastavro reads both records with their types and values, with and without deflate', async ({ skip }) => {
  if (fastavro === undefined) return skip('no fastavro');
  const directory = await makeDirectory();
  for (const compression of ['null', 'deflate'] as const) {
    const path = join(directory, `${compression}.avro`);
    const writer = openWriter(path, { compression });
    await writer.writeStatus(makeCameraStatus());
    await writer.writeDetections(makeDetectionFrame());
    await writer.close();
    const found = await fastavro.read([path, path.replace('.avro', '.camera-status.avro')]);
    expect(found).toMatchObject([
      {
        name: 'sightline.DetectionFrame',
        records: 1,
        ending: 'complete',
        sample: {
          header: {
            camera_id: 'gate',
            capture_time: '2026-11-23 06:00:00.200000+00:00',
            capture_time_source: 'ARRIVAL',
            tags: { site: 'north' },
          },
          decision: 'ANALYSED',
          objects: [{ class_name: 'person', confidence: 0.875, bbox: { x: 0.125 } }],
          timing_ms: { inference: 24 },
        },
      },
      {
        name: 'sightline.CameraStatus',
        records: 1,
        sample: { state: 'ONLINE', time: '2026-11-23 06:00:00+00:00', next_retry_at: null },
      },
    ]);
  }
});

test('an old torn file is read after it was moved aside by a new run', async () => {
  const directory = await makeDirectory();
  const path = join(directory, 'out.avro');
  await killWriterAfter(1000, path);
  await writeFile(path, Buffer.concat([await readFile(path), Buffer.from([2, 100])]));
  const writer = openWriter(path);
  await writer.writeDetections(makeDetectionFrame());
  await writer.close();
  const files = await findResultsFiles([directory], { withStatusesBeside: false });
  expect(files).toHaveLength(4);
  expect((await readBack([path])).frames).toHaveLength(1);
  const kept = files.filter((file) => !file.includes('camera-status') && file !== path);
  expect(await readBack(kept)).toMatchObject({ endings: ['torn'] });
});
