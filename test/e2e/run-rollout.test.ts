import path from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import type { RolloutView, StepView } from '../../services/control/core/model-views.ts';
import { demoSceneClip } from '../support/demo-scene-clip.ts';
import { prepareRun, until } from '../support/e2e-run.ts';
import { readDetections } from '../support/read-records.ts';
import { runSightline } from '../support/run-sightline.ts';
import { writeTinyModel } from '../support/tiny-model.ts';

it('changes, compares, tries and takes back models while it runs, and accounts for every frame', async () => {
  const run = await prepareRun();
  const models = path.join(run.directory, 'models');
  await writeTinyModel(models, { name: 'same', labels: ['person', 'car', 'bus'] });
  const elsewhere = [{ classId: 1, confidence: 0.8, x: 0.75, y: 0.25, width: 0.25, height: 0.25 }];
  await writeTinyModel(models, { name: 'other', boxes: elsewhere });
  const clip = await demoSceneClip();
  const cameras = ['--camera', `a=${clip}`, '--camera', `b=${clip}`, '--loop', '--fps', '10', '--threads', '1'];
  const running = run.start(...cameras, '--models-dir', models, '--http-port', '0', '--log-format', 'json');
  onTestFinished(() => void running.child.kill('SIGKILL'));
  await running.untilStderr('serving the API');

  const call = async <Answer>(...args: readonly string[]): Promise<Answer> => {
    const ended = await runSightline(['models', ...args, '--state-dir', run.stateDir, '--json']);
    expect(ended, ended.stderr).toMatchObject({ code: 0 });
    return JSON.parse(ended.stdout) as Answer; // what the command prints with --json
  };
  const show = () => call<RolloutView>('show');
  const few = ['--min-frames', '5', '--min-objects', '5', '--max-latency-ratio', '100', '--max-drop-increase', '1'];

  expect((await show()).active).toMatchObject({ name: 'tiny' });
  await call('shadow', 'same', '--cameras', 'a', ...few);
  await until(show, ({ candidate }) => candidate?.verdict === 'pass');
  expect((await show()).candidate?.rows).toMatchObject([{ camera_id: 'a', class_name: 'person', agreement: 1 }]);
  await call('promote', '--reason', 'sees the same');
  await call('canary', 'other', '--cameras', 'b', ...few);
  await until(show, ({ candidate }) => candidate === null);
  await call('activate', 'other');
  await call('rollback');
  const history = await call<readonly StepView[]>('history');
  expect(history.map(({ action, model, by }) => `${action} ${model.name} ${by}`)).toEqual([
    'rollback other local-token',
    'activate other local-token',
    'rollback other gate',
    'canary other local-token',
    'promote same local-token',
    'shadow same local-token',
    'activate tiny start',
  ]);
  expect(history[2]?.reason).toMatch(/^gate: agreement 0\.0 %/);

  running.child.kill('SIGINT');
  expect(await running.finished).toMatchObject({ code: 0 });
  const verified = await run.verify();
  expect(verified, verified.stdout).toMatchObject({ code: 0 });
  expect(verified.stdout).toContain('of a model in shadow beside them');
  expect((await run.report()).model.name).toBe('same');
  const records = await readDetections(run.results);
  const seen = new Set(records.map(({ header, model }) => `${header.camera_id} ${model.name} ${model.role}`));
  expect(seen).toContain('a same SHADOW');
  expect(seen).toContain('b other PRIMARY');
  expect(seen).toContain('b same SHADOW');
  expect(seen).not.toContain('b tiny SHADOW');
  expect(records.filter(({ decision }) => decision === 'FAILED')).toEqual([]);
  // Each frame has one result of its own, whichever model it came from.
  const own = records.filter(({ model }) => model.role === 'PRIMARY').map(({ header }) => header);
  expect(new Set(own.map(({ camera_id: id, epoch, frame_seq: seq }) => `${id}/${epoch}/${seq}`)).size).toBe(own.length);

  // The next start takes up what was promoted.
  const state = await call<RolloutView>('show', '--models-dir', models);
  expect([state.active?.name, state.candidate]).toEqual(['same', null]);
});
