import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it, onTestFinished } from 'vitest';
import { demoSceneClip, sceneFramesAtFiveFps, shortSceneClip } from '../support/demo-scene-clip.ts';
import { expectFailure, prepareRun, until } from '../support/e2e-run.ts';
import { readDetections } from '../support/read-records.ts';
import { runSightline, startSightline } from '../support/run-sightline.ts';

describe('sightline run without a camera', () => {
  it('plays the clip that SIGHTLINE_DEMO_CLIP names, says so, and stops when the time is over', async () => {
    const run = await prepareRun();
    const clip = await demoSceneClip();
    const demo = { ...run.environment, SIGHTLINE_DEMO_CLIP: clip };
    const ended = await startSightline([...run.arguments, '--duration', '3'], demo).finished;
    expect(ended, ended.stderr).toMatchObject({ code: 0 });
    expect(ended.stderr).toContain(`this plays your clip ${clip}; --camera NAME=URL takes yours`);
    const records = await readDetections(run.results);
    expect(records.length).toBeGreaterThan(5);
    // At its own speed: five a second.
    expect(records.length).toBeLessThan(25);
    expect(new Set(records.map(({ header }) => header.camera_id))).toEqual(new Set(['demo']));
    expect(await run.verify('--strict')).toMatchObject({ code: 0 });
    expect(await run.livingDecoders()).toEqual([]);
  });

  it('starts the clip over when it ends, with frames that go on', async () => {
    const run = await prepareRun();
    const demo = { ...run.environment, SIGHTLINE_DEMO_CLIP: await shortSceneClip() };
    const running = startSightline(run.arguments, demo);
    // The clip has twenty.
    await until(
      async () => (await readDetections(run.results).catch(() => [])).length,
      (count) => count > 24,
    );
    running.child.kill('SIGTERM');
    expect(await running.finished).toMatchObject({ code: 0 });
    const sequence = (await readDetections(run.results)).map(({ header }) => header.frame_seq);
    expect(sequence).toEqual(sequence.toSorted((a, b) => a - b));
    expect(await run.verify('--strict')).toMatchObject({ code: 0 });
  });

  it('says that the named clip is not there', async () => {
    const run = await prepareRun();
    const demo = { ...run.environment, SIGHTLINE_DEMO_CLIP: path.join(run.directory, 'absent.mp4') };
    const ended = await startSightline(run.arguments, demo).finished;
    expectFailure(ended, 'SIGHTLINE_DEMO_UNAVAILABLE', 4);
    expect(ended.stderr).toContain('absent.mp4');
  });

  it('says which clip it plays where none is named and nothing may be fetched', async () => {
    const run = await prepareRun();
    const ended = await run.run('--duration', '1');
    expect(ended, ended.stderr).toMatchObject({ code: 0 });
    expect(ended.stderr).toMatch(/this plays (a street scene drawn by Sightline|pedestrians|six people)/);
  });

  it('says which command gets a model where there is none', async () => {
    const run = await prepareRun();
    const demo = { ...run.environment, SIGHTLINE_DEMO_CLIP: await shortSceneClip() };
    const manifest = path.join(run.directory, 'own.yaml');
    const known = await readFile(fileURLToPath(new URL('../../models/yolox-nano.yaml', import.meta.url)), 'utf8');
    await writeFile(manifest, known.replace(/^file: .*$/m, 'file: not-there-yet.onnx'));
    const ended = await startSightline([...run.arguments, '--model', manifest], demo).finished;
    expectFailure(ended, 'SIGHTLINE_MODEL_NOT_FOUND', 4);
    expect(ended.stderr).toMatch(/^what to do: Run: curl .*-o '\S*not-there-yet\.onnx' https:\/\//m);
  });
});

describe('a run that is watched', () => {
  it('serves its health, its metrics and the API, and nothing else', async () => {
    const run = await prepareRun();
    const running = run.start('--camera', `a=${await demoSceneClip()}`, '--loop', '--http-port', '0');
    await running.untilStderr('serving the API');
    const [, url = ''] = /"url":"(http:[^"]+)"/.exec(running.output().stderr) ?? [];
    expect(url).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/);
    const get = async (route: string) => {
      const response = await fetch(url + route);
      return { status: response.status, text: await response.text() };
    };
    await until(
      () => get('/readyz'),
      ({ status }) => status === 200,
    );
    expect(await get('/healthz')).toMatchObject({ status: 200 });
    expect(await get('/etc')).toMatchObject({ status: 404 });
    const { text: metrics } = await until(
      () => get('/metrics'),
      ({ text }) => /^sightline_inference_frames_total\{[^}]*\} [1-9]/m.test(text),
    );
    const documentation = await readFile(new URL('../../docs/cli.md', import.meta.url), 'utf8');
    const documented = [...documentation.matchAll(/`(sightline_[a-z_]+)`/g)].map(([, name]) => name ?? '');
    const served = [...metrics.matchAll(/^# TYPE (sightline_\w+) /gm)].map(([, name]) => name ?? '');
    expect(served.toSorted()).toEqual(documented.toSorted());
    expect(metrics).toMatch(/^sightline_camera_up\{camera="a"\} 1$/m);
    expect(metrics).toMatch(/^process_resident_memory_bytes \d/m);
    running.child.kill('SIGTERM');
    expect(await running.finished).toMatchObject({ code: 0 });
  });
});

describe('a run that is ended', () => {
  it('stops at once at the second signal, and leaves no decoder and readable results', async () => {
    // Slow enough for the first signal to be still at work.
    const run = await prepareRun({ burden: 30 });
    const running = run.start('--camera', `a=${await demoSceneClip()}`, '--loop', '--threads', '1');
    await running.untilStderr('"ONLINE"');
    running.child.kill('SIGINT');
    await running.untilStderr('the same signal again stops at once');
    running.child.kill('SIGINT');
    const ended = await running.finished;
    expect(ended, ended.stderr).toMatchObject({ code: null, signal: 'SIGINT' });
    expect(ended.stderr).toContain('second signal');
    await until(
      () => run.livingDecoders(),
      (pids) => pids.length === 0,
      10_000,
    );
    expect(await run.verify()).toMatchObject({ code: 0 });
  });

  it('ends well when the reader of its standard output has enough', async () => {
    const run = await prepareRun();
    const launcher = fileURLToPath(new URL('../../cli/bin.mjs', import.meta.url));
    const args = [...run.arguments, '--results', '-', '--camera', `a=${await demoSceneClip()}`, '--loop'];
    const child = spawn(process.execPath, [launcher, ...args], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, ...run.environment },
    });
    onTestFinished(() => void child.kill('SIGKILL'));
    let stderr = '';
    child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
    await once(child.stdout, 'data');
    child.stdout.destroy();
    await once(child, 'close');
    expect(child.exitCode, stderr).toBe(0);
    expect(stderr).toContain('nobody reads the results on standard output any more');
    expect(stderr).not.toContain('error [');
    expect(await run.livingDecoders()).toEqual([]);
    expect((await run.report()).cameras).toMatchObject([{ camera_id: 'a', state: 'ENDED' }]);
  });
});

describe('a run of ten cameras', () => {
  it('keeps the accounts of each, and reads their files whole', async () => {
    const run = await prepareRun();
    const clip = await demoSceneClip();
    const ids = Array.from({ length: 10 }, (_, index) => `camera-${index}`);
    const ended = await run.run(...ids.flatMap((id) => ['--camera', `${id}=${clip}`]), '--until-end');
    expect(ended, ended.stderr).toMatchObject({ code: 0 });
    const { cameras } = await run.report();
    expect(cameras.map(({ camera_id: id, frames_analysed: analysed }) => [id, analysed])).toEqual(
      ids.map((id) => [id, sceneFramesAtFiveFps]),
    );
    const verify = await runSightline(['results', 'verify', run.results, '--strict']);
    expect(verify, verify.stdout).toMatchObject({ code: 0 });
    expect(await run.livingDecoders()).toEqual([]);
  });

  it('holds the accounts of live ones too, when told to stop in the middle', async () => {
    const run = await prepareRun({ burden: 1 });
    const clip = await demoSceneClip();
    const ids = Array.from({ length: 10 }, (_, index) => `camera-${index}`);
    const running = run.start(...ids.flatMap((id) => ['--camera', `${id}=${clip}`]), '--loop', '--fps', '10');
    await until(
      async () =>
        new Set((await readDetections(run.results).catch(() => [])).map(({ header }) => header.camera_id)).size,
      (seen) => seen === ids.length,
    );
    running.child.kill('SIGTERM');
    const ended = await running.finished;
    expect(ended, ended.stderr).toMatchObject({ code: 0 });
    const verify = await run.verify('--strict');
    expect(verify, verify.stdout).toMatchObject({ code: 0 });
    for (const camera of (await run.report()).cameras) {
      const fates = [camera.frames_analysed, camera.frames_dropped, camera.frames_expired, camera.frames_failed];
      expect(camera.frames_received).toBe(fates.reduce((sum, count) => sum + count, 0));
    }
    expect(await run.livingDecoders()).toEqual([]);
  });
});
