import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { createMemoryRolloutLog, type RolloutLog } from '#shared/core/rollout/rollout-log';
import { applyStep, initialRollout, planStep, type RolloutStep } from '#shared/core/rollout/rollout-state';
import { createSqliteRolloutLog, rolloutLogPath } from '#shared/store/sqlite-rollout-log';
import { createMemoryModelTopic } from '../../support/memory-model-topic.ts';
import { makeCommand, makeModelRef } from '../../support/rollout-doubles.ts';

const [a, b] = [makeModelRef('a'), makeModelRef('b')];
const first = planStep(initialRollout, makeCommand('activate', { model: a, reason: 'first “model”' }), { timeUs: 7 });
const second = planStep(
  applyStep(initialRollout, first),
  makeCommand('canary', { model: b, cameras: ['x'], gate: { minFrames: 5 } }),
  { timeUs: 8 },
);

async function stateFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'sightline-rollout-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

async function opened(log: RolloutLog): Promise<RolloutLog> {
  onTestFinished(() => log.close());
  await log.open();
  return log;
}

describe.each([
  ['in memory', async () => createMemoryRolloutLog()],
  ['SQLite', async () => createSqliteRolloutLog(await stateFolder())],
  ['on a topic', async () => createMemoryModelTopic().openLog()],
])('a log of roll-outs, %s', (_, make) => {
  test('gives the steps in order as they were written, and tells each one that comes', async () => {
    const log = await opened(await make());
    const heard: RolloutStep[] = [];
    const stop = log.watch((step) => heard.push(step));
    await log.append(first);
    stop();
    await log.append(second);
    expect(log.steps()).toEqual([first, second]);
    expect(heard).toEqual([first]);
  });

  test('refuses a step whose place is taken, and one that leaves a gap', async () => {
    const log = await opened(await make());
    await log.append(first);
    await expect(log.append({ ...first, by: 'another' })).rejects.toMatchObject({ code: 'SIGHTLINE_ROLLOUT_CHANGED' });
    await expect(log.append({ ...second, revision: 3 })).rejects.toMatchObject({ code: 'SIGHTLINE_ROLLOUT_CHANGED' });
    expect(log.steps()).toEqual([first]);
  });
});

test('in SQLite two processes see each other: the later one of two steps is refused and learns of the first', async () => {
  const folder = await stateFolder();
  const [one, other] = [await opened(createSqliteRolloutLog(folder)), await opened(createSqliteRolloutLog(folder))];
  await one.append(first);
  const heard: RolloutStep[] = [];
  other.watch((step) => heard.push(step));
  await expect(other.append({ ...first, by: 'another' })).rejects.toMatchObject({ code: 'SIGHTLINE_ROLLOUT_CHANGED' });
  expect(heard).toEqual([first]);
  await one.append(second);
  await Promise.all([other.refresh(), other.refresh()]);
  expect(other.steps()).toEqual([first, second]);
});

test('on a topic the first of two steps with one number holds for everybody, and compaction takes none away', async () => {
  const topic = createMemoryModelTopic();
  const [one, other] = [await opened(topic.openLog()), await opened(topic.openLog())];
  const outcomes = await Promise.allSettled([one.append(first), other.append({ ...first, by: 'another' })]);
  expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
  await (outcomes[0].status === 'fulfilled' ? other : one).append(second);
  const late = await opened(topic.openLog());
  await vi.waitFor(() => expect([one.steps(), other.steps()]).toEqual([late.steps(), late.steps()]));
  expect(late.steps().map(({ revision }) => revision)).toEqual([1, 2]);
  expect(late.steps()[1]).toEqual(second);
  expect(new Set(topic.keys()).size).toBe(topic.keys().length);
});

test('in SQLite nothing is changed or taken out, not even with the file in hand', async () => {
  const folder = await stateFolder();
  await (await opened(createSqliteRolloutLog(folder))).append(first);
  const { DatabaseSync } = await import('node:sqlite');
  const database = new DatabaseSync(rolloutLogPath(folder));
  onTestFinished(() => database.close());
  expect(() => database.exec(`UPDATE rollout_steps SET step = '{}'`)).toThrow(/append-only/);
  expect(() => database.exec('DELETE FROM rollout_steps')).toThrow(/append-only/);
});
