import { describe, expect, test } from 'vitest';
import type { PlanarImage } from '#shared/core/frame';
import { FrameFilter } from '../../../services/ingest/core/frame-filter.ts';

const widthPx = 160;
const heightPx = 96;

/** A scene with a gradient and noise of ±amplitude; the same seed gives the same noise. */
function scene(
  seed: number,
  options: { readonly noise?: number; readonly gain?: number; readonly box?: readonly [number, number] } = {},
): PlanarImage {
  const data = new Uint8Array(widthPx * heightPx * 3);
  let state = seed * 7919 + 1;
  for (let y = 0; y < heightPx; y++) {
    for (let x = 0; x < widthPx; x++) {
      state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff;
      const noise = ((state >> 16) / 0x7fff - 0.5) * 2 * (options.noise ?? 2);
      const isBox =
        options.box !== undefined &&
        x >= options.box[0] &&
        x < options.box[0] + 20 &&
        y >= options.box[1] &&
        y < options.box[1] + 24;
      const level = isBox ? 190 : (40 + x * 0.6) * (options.gain ?? 1);
      data[y * widthPx + x] = Math.max(0, Math.min(255, level + noise));
    }
  }
  return { format: 'gbrp', widthPx, heightPx, data };
}

/** A filter that has seen the quiet scene for some seconds. */
function settled(noise = 2): { readonly filter: FrameFilter; readonly nowMs: number } {
  const filter = new FrameFilter();
  for (let frame = 0; frame < 25; frame++) filter.judge(scene(frame, { noise }), frame * 200);
  return { filter, nowMs: 25 * 200 };
}

describe('frame filter', () => {
  test.each([0, 2, 8, 25])(
    'keeps the floor rate and nothing more of a still scene with noise of %d levels',
    (noise) => {
      const { filter, nowMs } = settled(noise);
      const kept = [];
      for (let frame = 0; frame < 100; frame++) {
        if (filter.judge(scene(1000 + frame, { noise }), nowMs + frame * 200).keep) kept.push(frame);
      }
      expect(kept).toHaveLength(10);
    },
  );

  test('keeps every frame in which something moves, and some after', () => {
    const { filter, nowMs } = settled();
    for (let frame = 0; frame < 10; frame++) {
      expect(filter.judge(scene(500 + frame, { box: [frame * 8, 40] }), nowMs + frame * 200).keep).toBe(true);
    }
    const after = [1, 2, 3, 4, 5, 6, 7].map(
      (frame) => filter.judge(scene(600, { box: [72, 40] }), nowMs + (9 + frame) * 200).keep,
    );
    expect(after).toEqual([true, true, true, true, true, false, false]);
  });

  test('says where it moves', () => {
    const { filter, nowMs } = settled();
    const { motion } = filter.judge(scene(700, { box: [100, 48] }), nowMs);
    expect(motion.regions).toHaveLength(1);
    const [region] = motion.regions;
    expect(region?.x).toBeLessThanOrEqual(100 / widthPx);
    expect((region?.x ?? 0) + (region?.width ?? 0)).toBeGreaterThanOrEqual(120 / widthPx);
    expect(region?.y).toBeLessThanOrEqual(48 / heightPx);
    expect(motion.score).toBeGreaterThan(0.01);
    expect(motion.score).toBeLessThan(0.1);
  });

  test.each([0.8, 1.25])('does not take a step of exposure by %d for motion', (gain) => {
    const { filter, nowMs } = settled();
    expect(filter.judge(scene(800, { gain }), nowMs).motion.regions).toEqual([]);
  });

  test('sees a small object through a step of exposure', () => {
    const { filter, nowMs } = settled();
    expect(filter.judge(scene(801, { gain: 1.25, box: [40, 40] }), nowMs).motion.regions).not.toEqual([]);
  });

  test('goes on when time goes back and when the picture changes its size', () => {
    const { filter } = settled();
    expect(filter.judge(scene(900), 0).keep).toBe(true);
    const small: PlanarImage = { format: 'gbrp', widthPx: 3, heightPx: 2, data: new Uint8Array(18) };
    expect(filter.judge(small, 100).keep).toBe(true);
    expect(filter.judge(small, 5_000).keep).toBe(true);
  });
});
