import { readFileSync } from 'node:fs';
import Type from 'typebox';
import { Parse } from 'typebox/value';
import { expect, test } from 'vitest';
import { evaluateCoco } from '../../../cli/models/coco-evaluation.ts';

const box = Type.Tuple([Type.Number(), Type.Number(), Type.Number(), Type.Number()]);
const place = { image_id: Type.Integer(), category_id: Type.Integer(), bbox: box };
const fixture = Parse(
  Type.Object({
    classes: Type.Array(Type.String()),
    truth: Type.Array(Type.Object({ ...place, iscrowd: Type.Integer() })),
    found: Type.Array(Type.Object({ ...place, score: Type.Number() })),
    expected: Type.Record(Type.String(), Type.Object({ ap: Type.Number(), ap50: Type.Number() })),
  }),
  JSON.parse(readFileSync(`${import.meta.dirname}/../../fixtures/coco-evaluation.json`, 'utf8')),
);
const className = (id: number): string => fixture.classes[id - 1] ?? '';
const truth = fixture.truth.map((each) => ({
  imageId: each.image_id,
  className: className(each.category_id),
  box: each.bbox,
  isCrowd: each.iscrowd === 1,
}));
const found = fixture.found.map((each) => ({
  imageId: each.image_id,
  className: className(each.category_id),
  box: each.bbox,
  score: each.score,
}));

test('gives the numbers of pycocotools, with crowds, equal scores and more than 100 boxes a picture', () => {
  const accuracy = evaluateCoco(truth, found, fixture.classes);
  for (const [name, { ap, ap50 }] of Object.entries(fixture.expected)) {
    expect(accuracy.get(name)?.ap).toBeCloseTo(ap, 10);
    expect(accuracy.get(name)?.ap50).toBeCloseTo(ap50, 10);
  }
});

test('leaves out a class that no picture shows', () => {
  expect([...evaluateCoco(truth, found, ['dog', 'unicorn']).keys()]).toEqual(['dog']);
});
