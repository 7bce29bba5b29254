import fc from 'fast-check';
import { expect, test } from 'vitest';
import { agreementRatio, compareObjects, iou } from '#shared/core/rollout/agreement';
import { makeObject } from '../../../support/result-records.ts';

const at = (x: number, className = 'person') =>
  makeObject({ class_name: className, bbox: { x, y: 0.25, width: 0.25, height: 0.5 } });

test('overlap is what two boxes share over what they cover together', () => {
  const box = { x: 0, y: 0, width: 0.5, height: 0.5 };
  expect(iou(box, box)).toBe(1);
  expect(iou(box, { ...box, x: 0.25 })).toBeCloseTo(1 / 3);
  expect(iou(box, { ...box, x: 0.5 })).toBe(0);
  expect(iou(box, { x: 0, y: 0, width: 0, height: 0 })).toBe(0);
});

test('pairs each box once, with the one that it overlaps most', () => {
  const seen = compareObjects([at(0), at(0.05)], [at(0.06), at(0.7)]);
  expect(Object.fromEntries(seen)).toEqual({ person: { matched: 1, onlyActive: 1, onlyCandidate: 1 } });
});

test('objects of two classes never are the same, wherever they stand', () => {
  const seen = compareObjects([at(0, 'person')], [at(0, 'car')]);
  expect(Object.fromEntries(seen)).toEqual({
    person: { matched: 0, onlyActive: 1, onlyCandidate: 0 },
    car: { matched: 0, onlyActive: 0, onlyCandidate: 1 },
  });
});

test('agreement says nothing where nothing was seen', () => {
  expect(agreementRatio({ matched: 0, onlyActive: 0, onlyCandidate: 0 })).toBeNull();
  expect(agreementRatio({ matched: 2, onlyActive: 1, onlyCandidate: 1 })).toBeCloseTo(2 / 3);
});

test('is the same from both sides, whole for equal objects, and accounts for every box', () => {
  const fraction = fc.double({ min: 0, max: 0.75, noNaN: true });
  const objects = fc.array(
    fc.tuple(fraction, fc.constantFrom('person', 'car')).map(([x, name]) => at(x, name)),
    { maxLength: 12 },
  );
  fc.assert(
    fc.property(objects, objects, (one, other) => {
      const there = compareObjects(one, other);
      const back = compareObjects(other, one);
      for (const [name, { matched, onlyActive, onlyCandidate }] of there) {
        expect(back.get(name)).toEqual({ matched, onlyActive: onlyCandidate, onlyCandidate: onlyActive });
        expect(matched + onlyActive).toBe(one.filter(({ class_name: each }) => each === name).length);
        expect(matched + onlyCandidate).toBe(other.filter(({ class_name: each }) => each === name).length);
      }
      for (const { onlyActive, onlyCandidate } of compareObjects(one, one).values())
        expect([onlyActive, onlyCandidate]).toEqual([0, 0]);
    }),
  );
});
