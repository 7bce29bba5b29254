import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { DetectionFrame } from '#schemas';
import { makeCameraStatus, makeDetectionFrame } from '../../support/result-records.ts';
import { makeDirectory, openWriter, runResults } from './results-files.ts';

const frame = (camera: string, seq: number, epoch = 1): DetectionFrame =>
  makeDetectionFrame({ header: { camera_id: camera, frame_seq: seq, epoch } });

/** A run of two cameras with three frames each, closed by their statuses. */
async function writeRun(destination: string, epoch = 1): Promise<void> {
  const writer = openWriter(destination);
  for (let seq = 1; seq <= 3; seq += 1) {
    for (const camera of ['gate', 'yard']) await writer.writeDetections(frame(camera, seq, epoch));
  }
  for (const camera_id of ['gate', 'yard']) {
    await writer.writeStatus(makeCameraStatus({ camera_id, epoch, state: 'ENDED', frame_seq: 3 }));
  }
  await writer.close();
}

describe('results verify', () => {
  test.each(['out.avro', 'out.jsonl', 'out/'])('proves that %s holds, with the end of each epoch', async (name) => {
    const path = join(await makeDirectory(), name);
    await writeRun(path);
    const { exitCode, stdout } = await runResults('verify', '--strict', path);
    expect({ exitCode, stdout }).toMatchObject({ exitCode: 0 });
    expect(stdout).toContain('accounting holds: 6 frames in 6 records of 2 cameras');
    expect(stdout).not.toContain('open end');
  });

  test('names the record of each violation and exits 1', async () => {
    const path = join(await makeDirectory(), 'out.avro');
    const writer = openWriter(path);
    for (const seq of [1, 2, 4]) await writer.writeDetections(frame('gate', seq));
    await writer.close();
    const { exitCode, stdout } = await runResults('verify', path);
    expect(exitCode).toBe(1);
    expect(stdout).toContain(`gap: ${path}, gate, epoch 1, frame 4: 2 frames since frame 2, but frames_received is 1`);
    expect(stdout).toContain('accounting does not hold: 1 violation\n');
    const json = await runResults('verify', '--json', '--max-violations', '0', path);
    expect(json.exitCode).toBe(1);
    expect(JSON.parse(json.stdout)).toMatchObject({ holds: false, violation_count: 1, violations: [] });
  });

  test('puts files of several runs into the order they were written in, and reads each once', async () => {
    const directory = await makeDirectory();
    const [early, late] = [join(directory, 'z.avro'), join(directory, 'a.avro')];
    for (const [path, epoch] of [
      [early, 1],
      [late, 2],
    ] as const) {
      const writer = openWriter(path);
      const publishTime = makeDetectionFrame().header.publish_time + epoch * 1_000_000;
      await writer.writeDetections(makeDetectionFrame({ header: { epoch, publish_time: publishTime } }));
      await writer.close();
    }
    expect(await runResults('verify', late, early, `${directory}/./z.avro`)).toMatchObject({ exitCode: 0 });
    expect(await runResults('verify', directory)).toMatchObject({ exitCode: 0 });
  });

  test('finds damage in the middle of a file', async () => {
    const path = join(await makeDirectory(), 'out.avro');
    const writer = openWriter(path);
    for (let seq = 1; seq <= 400; seq += 1) await writer.writeDetections(frame('gate', seq));
    await writer.close();
    const bytes = await readFile(path);
    // The last byte belongs to a sync marker.
    bytes.writeUInt8(bytes.readUInt8(bytes.length - 1) ^ 1, bytes.length - 1);
    await writeFile(path, bytes);
    const { exitCode, stdout } = await runResults('verify', path);
    expect(exitCode).toBe(1);
    expect(stdout).toContain('unreadable: ');
    expect(await runResults('cat', path)).toMatchObject({ exitCode: 3 });
  });
});

describe('results cat', () => {
  test('prints one camera up to a limit, from any kind of file', async () => {
    const directory = await makeDirectory();
    for (const name of ['out.avro', 'out.jsonl']) {
      const path = join(directory, name);
      await writeRun(path);
      const { stdout } = await runResults('cat', '--camera', 'yard', '--limit', '2', path);
      const lines = stdout
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line) as DetectionFrame & { type: string });
      expect(lines.map(({ type, header }) => [type, header.camera_id, header.frame_seq])).toEqual([
        ['detection_frame', 'yard', 1],
        ['detection_frame', 'yard', 2],
      ]);
    }
  });

  test('prints from Avro exactly what is written as JSON lines', async () => {
    const directory = await makeDirectory();
    await writeRun(join(directory, 'out.avro'));
    await writeRun(join(directory, 'out.jsonl'));
    const { stdout } = await runResults('cat', join(directory, 'out.avro'), join(directory, 'out.camera-status.avro'));
    expect(stdout).toBe(await readFile(join(directory, 'out.jsonl'), 'utf8'));
  });
});

describe('results stats', () => {
  test('sums up each camera, for people and for programs', async () => {
    const path = join(await makeDirectory(), 'out.avro');
    await writeRun(path);
    const { stdout } = await runResults('stats', '--json', path);
    expect(JSON.parse(stdout)).toMatchObject({
      records: 6,
      cameras: [
        {
          camera_id: 'gate',
          frames_received: 3,
          frames_analysed: 3,
          objects_by_class: { person: 3 },
          fps: 5,
          latency_ms: { p50: 50 },
        },
        { camera_id: 'yard' },
      ],
    });
    const text = await runResults('stats', '--camera', 'yard', path);
    expect(text.stdout).toMatch(/^camera {2}received {2}analysed/);
    expect(text.stdout).toContain('yard           3         3');
    expect(text.stdout).not.toContain('gate');
  });
});

test.each([
  ['a path that is not there', 'missing.avro', 'ENOENT'],
  ['a file of another kind', 'notes.txt', '.avro or .jsonl'],
  ['a file that only looks like Avro', 'fake.avro', 'not an Avro file'],
  ['an empty directory', '.', 'holds no'],
])('%s is an error that says so', async (_what, name, text) => {
  const directory = await makeDirectory();
  if (name !== '.') {
    await writeFile(join(directory, 'notes.txt'), 'hello');
    await writeFile(join(directory, 'fake.avro'), 'hello');
  }
  const { exitCode, stderr } = await runResults('verify', join(directory, name));
  expect({ exitCode, stderr }).toMatchObject({ exitCode: 3 });
  expect(stderr).toContain('SIGHTLINE_RESULTS_UNREADABLE');
  expect(stderr).toContain(text);
});
