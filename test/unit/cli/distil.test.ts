import { expect, test } from 'vitest';
import { parseManifest } from '../../../services/inference/model-manifest.ts';
import { formatYaml } from '#shared/runtime/load-yaml';
import { judge, type DistilOutcome } from '../../../cli/models/distil/distil-model.ts';
import { outcomeRecord, outcomeText } from '../../../cli/models/distil/distil-text.ts';
import { judgeBoxes, type JudgedModel } from '../../../cli/models/distil/judged-model.ts';
import type { SeenObject } from '../../../cli/models/distil/seen-objects.ts';
import { parseReport } from '../../../cli/models/python-tool.ts';
import { writtenManifest } from '../../../cli/models/written-manifest.ts';
import { yoloxManifest } from '../../support/manifests.ts';

function seen(className: string, left: number, score: number): SeenObject {
  return { className, box: [left, 0.2, 0.1, 0.3], score };
}

function row(role: string, ap50: number, cpuMs: number): JudgedModel {
  const classes = new Map([
    ['person', { ap: ap50, ap50 }],
    ['car', { ap: 0, ap50: 0 }],
  ]);
  return {
    ...{ role, name: role, input: '64x64', ap50, ap: ap50, classes, agreement: ap50, cpuMs, elsewhereAp50: null },
    ...{ memoryMiB: 1, sizeKiB: 1 },
  };
}

test('counts a class with few objects neither for nor against a model', () => {
  const truth = Array.from({ length: 20 }, (_, at) => [
    seen('person', 0.1, 0.9),
    ...(at === 0 ? [seen('car', 0.6, 0.9)] : []),
  ]);
  const found = truth.map(() => [seen('person', 0.1, 0.8)]);
  const judged = judgeBoxes(truth, found, () => 0.5);
  expect(judged.ap50).toBeCloseTo(1, 6);
  expect(judged.classes.get('car')?.ap50).toBe(0);
  expect(judged.agreement).toBeCloseTo(40 / 41, 6);
});

test('measures agreement at the thresholds that the model runs with', () => {
  const truth = [[seen('person', 0.1, 0.9)]];
  const found = [[seen('person', 0.1, 0.4), seen('person', 0.5, 0.4)]];
  expect(judgeBoxes(truth, found, () => 0.5).agreement).toBe(0);
  expect(judgeBoxes(truth, found, () => 0.3).agreement).toBeCloseTo(2 / 3, 6);
});

const teacher = row('teacher', 1, 16);
const before = row('before', 0.6, 8);
const verdictOn = (after: JudgedModel, isSmaller: boolean) =>
  judge([teacher, before, after], { mostLost: 0.01, mostForgotten: 0.05, isSmaller });

test('calls better what sees more and costs less than the teacher', () => {
  expect(verdictOn(row('after', 0.9, 8), false)).toEqual({ isBetter: true });
});

test('calls better a smaller network that sees as much and costs less than before', () => {
  expect(verdictOn(row('after', 0.595, 4), true)).toEqual({ isBetter: true });
});

test('takes it for chance where the same network was faster than before', () => {
  expect(verdictOn(row('after', 0.595, 4), false)).toMatchObject({ isBetter: false });
});

test.each([false, true])(
  'refuses what sees no more than before for the same cost, what sees less, and what costs as much as the teacher (smaller: %s)',
  (isSmaller) => {
    expect(verdictOn(row('after', 0.605, 8), isSmaller)).toMatchObject({ isBetter: false });
    expect(verdictOn(row('after', 0.5, 4), isSmaller)).toMatchObject({ isBetter: false });
    expect(verdictOn(row('after', 0.9, 15), isSmaller)).toMatchObject({ isBetter: false });
  },
);

test('refuses what sees less on pictures of other places than may be forgotten, however well it does on the clips', () => {
  const elsewhere = (each: JudgedModel, elsewhereAp50: number): JudgedModel => ({ ...each, elsewhereAp50 });
  const rows = [teacher, elsewhere(before, 0.4), elsewhere(row('after', 0.9, 8), 0.3)];
  const options = { mostLost: 0.01, isSmaller: false };
  expect(judge(rows, { ...options, mostForgotten: 0.05 })).toEqual({
    isBetter: false,
    reason: 'its AP50 on the pictures of other places falls by 0.100, 0.05 may be lost',
  });
  expect(judge(rows, { ...options, mostForgotten: 0.2 })).toEqual({ isBetter: true });
});

test('reads the lines of the training and passes over those of others', () => {
  expect(parseReport('{"kind": "progress", "share": 0.5, "step": 3, "loss": 1.5}')).toMatchObject({ step: 3 });
  expect(parseReport('UserWarning: something')).toBeNull();
  expect(parseReport('{broken')).toBeNull();
});

test('writes a manifest that reads back as the same model', () => {
  const text = formatYaml(writtenManifest(yoloxManifest));
  expect(parseManifest(text, 'manifest', () => [])).toEqual(yoloxManifest);
});

test('shows classes that are too few to judge as such, in the table and for programs', () => {
  const outcome: DistilOutcome = {
    frames: { learned: 65, heldOut: 30, fps: 5 },
    also: { learned: 0, heldOut: 0 },
    objects: new Map([
      ['person', 30],
      ['car', 2],
    ]),
    rows: [row('teacher', 1, 16), row('before', 0.6, 8), row('after', 0.9, 8)],
    ...{ steps: 7, weights: 42, verdict: { isBetter: true } },
    stored: { name: 'mine', version: 'abc', manifestPath: '/models/mine/abc/manifest.yaml' },
  };
  const text = outcomeText(outcome);
  expect(text).toContain('person (30)');
  expect(text).toContain('not in the mean: car');
  expect(text).toContain('sightline run --model mine');
  expect(outcomeRecord(outcome)).toMatchObject({ is_better: true, objects: { person: 30, car: 2 }, reason: null });
});
