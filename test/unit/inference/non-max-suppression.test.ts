import fc from 'fast-check';
import { expect, test } from 'vitest';
import { createCandidateList, detectionStride } from '../../../services/inference/core/detections.ts';
import { suppressNonMaxima, suppressionLimit } from '../../../services/inference/core/non-max-suppression.ts';

interface Box {
  readonly x1: number;
  readonly y1: number;
  readonly x2: number;
  readonly y2: number;
  readonly score: number;
  readonly classIndex: number;
}

/** The definition, word for word and without regard to cost: a box stays if no better one that stays, of its class, overlaps it too much. */
function byDefinition(boxes: readonly Box[], threshold: number): readonly Box[] {
  const ranked = [...boxes].sort((a, b) => b.score - a.score);
  const stays = new Set<Box>();
  for (const box of ranked) {
    const hides = [...stays].some((other) => other.classIndex === box.classIndex && overlap(other, box) > threshold);
    if (!hides) stays.add(box);
  }
  return [...stays];
}

function overlap(a: Box, b: Box): number {
  const shared =
    Math.max(0, Math.min(a.x2, b.x2) - Math.max(a.x1, b.x1)) * Math.max(0, Math.min(a.y2, b.y2) - Math.max(a.y1, b.y1));
  const union = (a.x2 - a.x1) * (a.y2 - a.y1) + (b.x2 - b.x1) * (b.y2 - b.y1) - shared;
  return shared === 0 ? 0 : shared / union;
}

function suppress(boxes: readonly Box[], threshold: number, maxObjects = 1000): readonly Box[] {
  const list = createCandidateList({ initialCapacity: 2 });
  for (const box of boxes) list.push(box.x1, box.y1, box.x2, box.y2, box.score, box.classIndex);
  const { boxes: kept } = suppressNonMaxima(list, threshold, maxObjects);
  return Array.from({ length: kept.length / detectionStride }, (_, index) => {
    const [x1 = 0, y1 = 0, x2 = 0, y2 = 0, score = 0, classIndex = 0] = kept.subarray(index * detectionStride);
    return { x1, y1, x2, y2, score, classIndex };
  });
}

// Whole pixels and scores in 64ths, so that float32 holds them exactly and the two sides compare the same numbers.
const anyBox = fc
  .tuple(fc.nat(60), fc.nat(60), fc.nat(40), fc.nat(40), fc.nat(64), fc.nat(2))
  .map(([x, y, width, height, score, classIndex]) => ({
    x1: x,
    y1: y,
    x2: x + width,
    y2: y + height,
    score: score / 64,
    classIndex,
  }));

test('keeps exactly what the definition keeps', () => {
  fc.assert(
    fc.property(fc.array(anyBox, { maxLength: 40 }), fc.constantFrom(0, 0.3, 0.45, 0.65, 1), (boxes, threshold) => {
      expect(suppress(boxes, threshold)).toEqual(byDefinition(boxes, threshold));
    }),
  );
});

test('leaves overlapping boxes of different classes', () => {
  const box = { x1: 0, y1: 0, x2: 10, y2: 10, score: 0.5 };
  expect(
    suppress(
      [
        { ...box, classIndex: 0 },
        { ...box, classIndex: 1 },
      ],
      0.45,
    ),
  ).toHaveLength(2);
});

test('gives the best ones where there are more than asked for', () => {
  const boxes = Array.from({ length: 5 }, (_, index) => ({
    x1: index * 20,
    y1: 0,
    x2: index * 20 + 10,
    y2: 10,
    score: (index + 1) / 8,
    classIndex: 0,
  }));
  expect(suppress(boxes, 0.45, 2).map(({ score }) => score)).toEqual([5 / 8, 4 / 8]);
});

test('looks at the best thousand of a flood', () => {
  const boxes = Array.from({ length: suppressionLimit + 500 }, (_, index) => ({
    x1: index * 20,
    y1: 0,
    x2: index * 20 + 10,
    y2: 10,
    score: 0.5,
    classIndex: 0,
  }));
  expect(suppress(boxes, 0.45, 5000)).toHaveLength(suppressionLimit);
});
