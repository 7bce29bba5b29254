import { expect, test } from 'vitest';
import { refusalOf } from '../../../cli/models/quantise/quantise-model.ts';

test('an int8 form is kept where it loses no more than the gate allows and takes a twentieth less at least', () => {
  expect(refusalOf(0.01, 0.95, 0.01)).toBeNull();
  expect(refusalOf(-0.02, 0.5, 0.01)).toBeNull();
});

test('what loses more, is no faster or gave no number is refused with the figure', () => {
  expect(refusalOf(0.0234, 0.5, 0.01)).toBe('AP50 falls by 0.0234, the gate allows 0.01');
  expect(refusalOf(0, 1.11, 0.01)).toContain('takes 1.11 of the CPU time');
  expect(refusalOf(Number.NaN, 0.5, 0.01)).not.toBeNull();
  expect(refusalOf(0, Number.NaN, 0.01)).not.toBeNull();
});
