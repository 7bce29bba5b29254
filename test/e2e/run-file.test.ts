import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import type { RunReport } from '../../cli/run/run-report.ts';
import { demoSceneClip, sceneFramesAtFiveFps } from '../support/demo-scene-clip.ts';
import { readDetections } from '../support/read-records.ts';
import { runSightline, startSightline, temporaryDirectory } from '../support/run-sightline.ts';
import { encodeMeanColourModel, writeTinyModel } from '../support/tiny-model.ts';

async function setUp(): Promise<{ directory: string; results: string; base: readonly string[] }> {
  const directory = await temporaryDirectory();
  const results = path.join(directory, 'out.avro');
  const model = await writeTinyModel(path.join(directory, 'models'));
  return {
    directory,
    results,
    base: ['run', '--model', model, '--state-dir', path.join(directory, 'state'), '--results', results],
  };
}

describe('sightline run on a file', () => {
  it('turns a clip into records of every sampled frame, and the files prove it', async () => {
    const { directory, results, base } = await setUp();
    const summaryFile = path.join(directory, 's.json');
    const clip = await demoSceneClip();
    const run = await runSightline([...base, '--camera', `a=${clip}`, '--until-end', '--summary', summaryFile]);
    expect(run, run.stderr).toMatchObject({ code: 0 });

    const records = await readDetections(results);
    expect(records).toHaveLength(sceneFramesAtFiveFps);
    expect(records.map((record) => record.header.frame_seq)).toEqual(records.map((_, index) => index + 1));
    const [first] = records;
    expect(first).toMatchObject({
      decision: 'ANALYSED',
      frame_width_px: 640,
      frame_height_px: 360,
      model: { name: 'tiny' },
    });
    // The tiny model sees its box in the middle of the input's upper half; 640x360 lies in 64x64 as 64x36 at the top.
    const [object] = first?.objects ?? [];
    expect(object).toMatchObject({ class_name: 'person' });
    expect(object?.confidence).toBeCloseTo(0.9, 5);
    expect(object?.bbox.x).toBeCloseTo(0.375, 5);
    expect(object?.bbox.y).toBeCloseTo(8 / 36, 5);
    expect(object?.bbox.width).toBeCloseTo(0.25, 5);
    expect(object?.bbox.height).toBeCloseTo(16 / 36, 5);

    const verify = await runSightline(['results', 'verify', results, '--strict', '--json']);
    expect(verify, verify.stdout).toMatchObject({ code: 0 });

    // Written by the run that has just ended.
    const summary = JSON.parse(await readFile(summaryFile, 'utf8')) as RunReport;
    expect(summary.cameras).toMatchObject([
      {
        camera_id: 'a',
        state: 'ENDED',
        frames_received: sceneFramesAtFiveFps,
        frames_analysed: sceneFramesAtFiveFps,
        frames_dropped: 0,
        frames_failed: 0,
        objects_by_class: { person: sceneFramesAtFiveFps },
      },
    ]);
    expect(summary.cameras[0]?.cpu_ms_per_analysed_frame).toBeGreaterThan(0);
  });

  it('writes JSON lines to standard output and nothing else there', async () => {
    const { base } = await setUp();
    const clip = await demoSceneClip();
    const run = await runSightline([...base.slice(0, -1), '-', '--camera', `a=${clip}`, '--until-end', '--fps', '1']);
    expect(run, run.stderr).toMatchObject({ code: 0 });
    const types = run.stdout
      .trimEnd()
      .split('\n')
      .map((line) => (JSON.parse(line) as { type: string }).type);
    expect(types.filter((type) => type === 'detection_frame')).toHaveLength(24);
    expect(new Set(types)).toEqual(new Set(['detection_frame', 'camera_status']));
  });

  it('gives objects a vector with an embedding model, in files that verify finds right', async () => {
    const { directory, results, base } = await setUp();
    const file = path.join(directory, 'person-reid.onnx');
    await writeFile(file, encodeMeanColourModel({ widthPx: 16, heightPx: 32 }));
    const state = ['--state-dir', path.join(directory, 'state')];
    expect(await runSightline(['models', 'add', file, ...state])).toMatchObject({ code: 0 });
    const camera = ['--camera', `a=${await demoSceneClip()}`, '--until-end', '--fps', '1'];
    const run = await runSightline([...base, ...camera, '--embedding-model', 'person-reid']);
    expect(run, run.stderr).toMatchObject({ code: 0 });
    const objects = (await readDetections(results)).flatMap((record) => record.objects);
    expect(objects).toHaveLength(24);
    for (const { embedding, embedding_model: model } of objects) {
      expect(Math.hypot(...(embedding ?? []))).toBeCloseTo(1, 5);
      expect(model).toMatch(/^person-reid@[0-9a-f]{12}#[0-9a-f]{64}$/);
    }
    expect(await runSightline(['results', 'verify', results])).toMatchObject({ code: 0 });
  });

  it('keeps the accounts of several cameras apart, and one bad camera does not stop the others', async () => {
    const { directory, results, base } = await setUp();
    const clip = await demoSceneClip();
    const notVideo = path.join(directory, 'notes.mp4');
    await writeFile(notVideo, 'these are notes, not pictures');
    const cameras = ['--camera', `a=${clip}`, '--camera', `bad=${notVideo}`, '--camera', `b=${clip}`];
    const run = await runSightline([...base, ...cameras, '--until-end']);
    expect(run.code, run.stderr).toBe(3);
    expect(run.stderr).toContain('camera bad');
    const records = await readDetections(results);
    for (const id of ['a', 'b']) {
      expect(records.filter((record) => record.header.camera_id === id)).toHaveLength(sceneFramesAtFiveFps);
    }
    expect(await runSightline(['results', 'verify', results])).toMatchObject({ code: 0 });
  });

  it('leaves out frames without change when told to, and counts them', async () => {
    const { results, base } = await setUp();
    const clip = await demoSceneClip();
    const run = await runSightline([...base, '--camera', `a=${clip}`, '--until-end', '--filter', 'auto']);
    expect(run, run.stderr).toMatchObject({ code: 0 });
    const records = await readDetections(results);
    const received = records.reduce((sum, record) => sum + record.accounting.frames_received, 0);
    expect(received).toBe(sceneFramesAtFiveFps);
    expect(await runSightline(['results', 'verify', results, '--strict'])).toMatchObject({ code: 0 });
  });

  it('stops on SIGTERM with every frame accounted for', async () => {
    const { results, base } = await setUp();
    const run = startSightline([...base, '--camera', `a=${await demoSceneClip()}`, '--log-level', 'debug']);
    await untilRecords(results);
    run.child.kill('SIGTERM');
    const ended = await run.finished;
    expect(ended, ended.stderr).toMatchObject({ code: 0 });
    const verify = await runSightline(['results', 'verify', results, '--strict']);
    expect(verify, verify.stdout).toMatchObject({ code: 0 });
  });

  it('leaves readable results behind when it is killed, and no ffmpeg', async () => {
    const { directory, results, base } = await setUp();
    const marker = path.join(directory, 'marked-clip.mp4');
    await writeFile(marker, await readFile(await demoSceneClip()));
    const run = startSightline([...base, '--camera', `a=${marker}`, '--loop']);
    await untilRecords(results);
    run.child.kill('SIGKILL');
    await run.finished;
    expect((await readDetections(results)).length).toBeGreaterThan(0);
    expect(await runSightline(['results', 'verify', results])).toMatchObject({ code: 0 });
    await expect.poll(() => processesNaming(marker), { timeout: 10_000 }).toEqual([]);
  });
});

/** Results are on the disk within half a second of being made. */
async function untilRecords(results: string): Promise<void> {
  await expect
    .poll(async () => (await readDetections(results).catch(() => [])).length, { timeout: 30_000 })
    .toBeGreaterThan(3);
}

async function processesNaming(text: string): Promise<string[]> {
  const { readdir } = await import('node:fs/promises');
  const found: string[] = [];
  for (const entry of await readdir('/proc')) {
    if (!/^\d+$/.test(entry)) continue;
    const commandLine = await readFile(`/proc/${entry}/cmdline`, 'utf8').catch(() => '');
    if (commandLine.includes(text)) found.push(entry);
  }
  return found;
}
