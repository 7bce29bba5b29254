import { expect, onTestFinished, test, vi } from 'vitest';
import { AppError } from '#shared/core/errors';
import { createRolloutController } from '#shared/core/rollout/rollout-controller';
import { createMemoryRolloutLog, type RolloutLog } from '#shared/core/rollout/rollout-log';
import { modelKey, type ModelRef, type RolloutState } from '#shared/core/rollout/rollout-state';
import { createLogKeeper, machineClock } from '../../../support/inference-doubles.ts';
import { makeDetectionFrame, makeOtherFate } from '../../../support/result-records.ts';
import { makeCommand, makeModelRef } from '../../../support/rollout-doubles.ts';

const [a, b, c] = [makeModelRef('a'), makeModelRef('b'), makeModelRef('c')];

/** A stage that writes down what it is told, and refuses to work with what it has not loaded. */
function scriptedStage(broken: readonly ModelRef[] = []) {
  const loaded = new Set([a.digest]);
  const told: string[] = [];
  return {
    told,
    prepare(model: ModelRef): Promise<void> {
      if (broken.includes(model)) return Promise.reject(new AppError('SIGHTLINE_MODEL_CORRUPT', 'it is no model'));
      loaded.add(model.digest);
      return Promise.resolve();
    },
    follow({ active, candidate }: RolloutState): void {
      const models = [active, candidate?.model ?? null].filter((model) => model !== null);
      for (const { digest } of models) expect(loaded).toContain(digest);
      told.push(models.map(modelKey).join(' '));
    },
  };
}

function control(log: RolloutLog, stage = scriptedStage()) {
  const keeper = createLogKeeper();
  const controller = createRolloutController({ log, stage, clock: machineClock, logger: keeper, gateIntervalMs: 2 });
  onTestFinished(() => controller.close());
  return { controller, stage, keeper };
}

test('writes down with what it was started, and only once', async () => {
  const log = createMemoryRolloutLog();
  await control(log).controller.open({ model: a, when: 'always' });
  await control(log).controller.open({ model: a, when: 'always' });
  expect(log.steps().map(({ action, by, model }) => `${action} ${model.name} ${by}`)).toEqual(['activate a start']);
});

test('a process that joins keeps to the steps, whatever it was started with, and begins them where there are none', async () => {
  const log = createMemoryRolloutLog();
  const first = control(log);
  await first.controller.open({ model: a, when: 'first' });
  const second = control(log);
  await second.controller.open({ model: b, when: 'first' });
  expect([second.controller.state().active, log.steps().length, second.stage.told]).toEqual([a, 1, ['a@1']]);
});

test('a process that lacks the active model does not start, and takes it from nobody', async () => {
  const log = createMemoryRolloutLog();
  await control(log).controller.open({ model: a, when: 'first' });
  const { controller } = control(log, scriptedStage([a]));
  await expect(controller.open()).rejects.toMatchObject({ code: 'SIGHTLINE_MODEL_CORRUPT' });
  expect(log.steps()).toHaveLength(1);
});

test('loads a version before it is put to work, and keeps the step', async () => {
  const { controller, stage } = control(createMemoryRolloutLog());
  await controller.open({ model: a, when: 'always' });
  await controller.execute(makeCommand('shadow', { model: b }));
  await controller.execute(makeCommand('promote', { force: true }));
  expect(stage.told).toEqual(['a@1', 'a@1 b@1', 'b@1']);
  expect(controller.history().map(({ action }) => action)).toEqual(['activate', 'shadow', 'promote']);
});

test('a version that cannot be loaded leaves no step and changes nothing', async () => {
  const { controller, stage } = control(createMemoryRolloutLog(), scriptedStage([b]));
  await controller.open({ model: a, when: 'always' });
  await expect(controller.execute(makeCommand('activate', { model: b }))).rejects.toMatchObject({
    code: 'SIGHTLINE_MODEL_CORRUPT',
  });
  expect([controller.state().active, controller.history().length, stage.told.at(-1)]).toEqual([a, 1, 'a@1']);
});

test('commands that come at once are carried out one after another', async () => {
  const { controller } = control(createMemoryRolloutLog());
  await controller.open({ model: a, when: 'always' });
  const outcomes = await Promise.allSettled([
    controller.execute(makeCommand('canary', { model: b })),
    controller.execute(makeCommand('canary', { model: c })),
    controller.execute(makeCommand('rollback')),
    controller.execute(makeCommand('canary', { model: c })),
  ]);
  expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled', 'fulfilled']);
  expect(controller.state().candidate?.model).toBe(c);
});

test('follows what was decided elsewhere, once it has loaded it', async () => {
  const log = createMemoryRolloutLog();
  const [here, there] = [control(log), control(log)];
  await here.controller.open({ model: a, when: 'always' });
  await there.controller.open();
  await here.controller.execute(makeCommand('activate', { model: b }));
  await vi.waitFor(() => expect(there.stage.told.at(-1)).toBe('b@1'));
});

test('what was decided elsewhere and cannot be loaded here is rolled back, with the reason', async () => {
  const log = createMemoryRolloutLog();
  const [here, there] = [control(log), control(log, scriptedStage([b]))];
  await here.controller.open({ model: a, when: 'always' });
  await there.controller.open();
  await here.controller.execute(makeCommand('canary', { model: b }));
  await vi.waitFor(() => expect(here.controller.state().candidate).toBeNull());
  expect(log.steps().at(-1)).toMatchObject({ action: 'rollback', model: b });
  expect(log.steps().at(-1)?.reason).toContain('SIGHTLINE_MODEL_CORRUPT');
  await here.controller.execute(makeCommand('activate', { model: b }));
  await vi.waitFor(() => expect(here.controller.state().active).toBe(a));
  expect(there.stage.told.every((models) => models === 'a@1')).toBe(true);
});

test('a candidate that can no longer be loaded at the next start does not keep that from starting', async () => {
  const log = createMemoryRolloutLog();
  const before = control(log);
  await before.controller.open({ model: a, when: 'always' });
  await before.controller.execute(makeCommand('shadow', { model: b }));
  const { controller } = control(log, scriptedStage([b]));
  await controller.open({ model: a, when: 'always' });
  expect(controller.state()).toMatchObject({ active: a, candidate: null });
});

test('rolls a canary back by itself when it fails its gate, with the reason in the history', async () => {
  const { controller, stage } = control(createMemoryRolloutLog());
  await controller.open({ model: a, when: 'always' });
  await controller.execute(makeCommand('canary', { model: b, cameras: ['gate'], gate: { minFrames: 5 } }));
  controller.observe(makeDetectionFrame({ model: a }));
  const failed = makeOtherFate('FAILED', { frame_seq: 2 });
  controller.observe({ ...failed, model: { ...failed.model, ...b } });
  await vi.waitFor(() => expect(controller.state().candidate).toBeNull());
  expect(controller.history().at(-1)).toMatchObject({ action: 'rollback', model: b, by: 'gate' });
  expect(controller.history().at(-1)?.reason).toMatch(/^gate: 1 of 1 frames failed/);
  expect(stage.told.at(-1)).toBe('a@1');
});

test('a shadow that fails its gate stays: it harms nobody, and its report is what was asked for', async () => {
  const { controller } = control(createMemoryRolloutLog());
  await controller.open({ model: a, when: 'always' });
  await controller.execute(makeCommand('shadow', { model: b, cameras: ['gate'], gate: { minFrames: 1 } }));
  const failed = makeOtherFate('FAILED', { frame_seq: 2 });
  controller.observe({ ...failed, model: { ...failed.model, ...b, role: 'SHADOW' } });
  expect(controller.report()?.gate.verdict).toBe('fail');
  await machineClock.sleep(20);
  expect(controller.state().candidate?.model).toBe(b);
});

/** A log whose next steps reach this process only when they are let through. */
function heldLog() {
  const log = createMemoryRolloutLog();
  const gate = Promise.withResolvers<undefined>();
  const held = vi.fn<RolloutLog['append']>(async (step) => {
    await gate.promise;
    await log.append(step);
  });
  return { log: { ...log, append: held }, held, plain: log, letThrough: () => gate.resolve(undefined) };
}

test('the gate does not take the active model away where a person was faster to take the canary', async () => {
  const { log, held, plain, letThrough } = heldLog();
  const before = control(plain);
  await before.controller.open({ model: a, when: 'always' });
  await before.controller.execute(makeCommand('activate', { model: c }));
  await before.controller.execute(makeCommand('canary', { model: b, cameras: ['gate'], gate: { minFrames: 5 } }));
  await before.controller.close();
  const { controller, keeper } = control(log);
  await controller.open();
  const byHand = controller.execute(makeCommand('rollback'));
  await vi.waitFor(() => expect(held).toHaveBeenCalledOnce());
  const failed = makeOtherFate('FAILED', { frame_seq: 2 });
  controller.observe({ ...failed, model: { ...failed.model, ...b } });
  await vi.waitFor(() => expect(keeper.lines.map(({ text }) => text)).toContain('the canary fails its gate'));
  letThrough();
  await byHand;
  await machineClock.sleep(20);
  expect(controller.state()).toMatchObject({ active: c, previous: a, candidate: null });
  expect(log.steps().at(-1)).toMatchObject({ action: 'rollback', model: b, by: 'tester' });
});

test('several processes that start without the file of the candidate take it away once, and the active model stays', async () => {
  const log = createMemoryRolloutLog();
  const before = control(log);
  await before.controller.open({ model: a, when: 'always' });
  await before.controller.execute(makeCommand('activate', { model: c }));
  await before.controller.execute(makeCommand('shadow', { model: b }));
  await before.controller.close();
  const joining = [0, 10, 20].map((delayMs) => {
    const stage = scriptedStage([b]);
    const prepare = async (model: ModelRef): Promise<void> => {
      if (model === b) await machineClock.sleep(delayMs);
      await stage.prepare(model);
    };
    return control(log, { ...stage, prepare });
  });
  await Promise.all(joining.map(({ controller }) => controller.open()));
  await machineClock.sleep(20);
  expect(log.steps().map(({ action }) => action)).toEqual(['activate', 'activate', 'shadow', 'rollback']);
  for (const { controller, stage } of joining) {
    expect(controller.state()).toMatchObject({ active: c, candidate: null });
    expect(stage.told.at(-1)).toBe('c@1');
  }
});

test('of a step whose place another one took, it follows the other once that is loaded', async () => {
  const { log, held, plain, letThrough } = heldLog();
  const { controller, stage } = control(plain);
  await controller.open({ model: a, when: 'always' });
  const slow = control(log);
  await slow.controller.open();
  const late = slow.controller.execute(makeCommand('activate', { model: b }));
  await vi.waitFor(() => expect(held).toHaveBeenCalledOnce());
  await controller.execute(makeCommand('activate', { model: c }));
  letThrough();
  await expect(late).rejects.toMatchObject({ code: 'SIGHTLINE_ROLLOUT_CHANGED' });
  await vi.waitFor(() => expect(slow.stage.told.at(-1)).toBe('c@1'));
  expect(slow.controller.state().active).toBe(c);
  expect(stage.told.at(-1)).toBe('c@1');
});
