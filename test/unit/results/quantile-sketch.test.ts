import fc from 'fast-check';
import { expect, test } from 'vitest';
import { createQuantileSketch, quantileRelativeError } from '../../../services/results/core/quantile-sketch.ts';

test('every quantile is within the stated error of the exact one', () => {
  const milliseconds = fc.oneof(
    fc.double({ min: 0.001, max: 1e7, noNaN: true }),
    fc.double({ min: 10, max: 40, noNaN: true }),
    fc.constant(0),
  );
  fc.assert(
    fc.property(
      fc.array(milliseconds, { minLength: 1, maxLength: 300 }),
      fc.double({ min: 0, max: 1, noNaN: true }),
      (values, q) => {
        const sketch = createQuantileSketch();
        for (const value of values) sketch.add(value);
        const rank = Math.min(Math.max(Math.ceil(q * values.length), 1), values.length);
        const exact = [...values].sort((a, b) => a - b)[rank - 1] ?? NaN;
        expect(Math.abs((sketch.quantile(q) ?? NaN) - exact)).toBeLessThanOrEqual(
          exact * (quantileRelativeError + 1e-9) + 0.001,
        );
      },
    ),
  );
});

test('has no quantile of nothing', () => {
  expect(createQuantileSketch().quantile(0.5)).toBeNull();
});

test('takes a negative duration, which a stepped clock gives, for zero', () => {
  const sketch = createQuantileSketch();
  for (const value of [-50, -1, 10]) sketch.add(value);
  expect(sketch.quantile(0.5)).toBe(0);
  expect(sketch.count).toBe(3);
});
