import { describe, expect, test } from 'vitest';
import {
  DriftMonitor,
  type DriftFigure,
  type DriftObservation,
} from '../../../../services/inference/core/drift/drift-monitor.ts';

const day = 24 * 3_600_000;
const stepMs = 60_000;

/** The same numbers in every run. */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

interface Scene {
  readonly meanScore: number;
  /** Objects in a frame, on average. */
  readonly objects: number;
  readonly brightness: number;
}

function frameOf(scene: Scene, timeMs: number, random: () => number): DriftObservation {
  const bell = (): number => (random() + random() + random() + random() - 2) / 2;
  const clamp = (value: number, most: number): number => Math.min(most, Math.max(0, value));
  return {
    ...{ cameraId: 'door', modelDigest: 'a', timeMs },
    objects: Array.from({ length: Math.floor(random() * (2 * scene.objects + 1)) }, () => ({
      class_name: 'person',
      confidence: clamp(scene.meanScore + 0.3 * bell(), 1),
    })),
    brightness: clamp(scene.brightness + 40 * bell(), 255),
  };
}

const byDay: Scene = { meanScore: 0.7, objects: 2, brightness: 140 };
const byNight: Scene = { meanScore: 0.45, objects: 0.4, brightness: 30 };

/** One frame a minute; gives the figures of the last window, and every change on the way. */
function watch(monitor: DriftMonitor, days: number, sceneAt: (timeMs: number) => Scene) {
  const random = seeded(7);
  const last = new Map<string, DriftFigure>();
  const changes: string[] = [];
  for (let timeMs = 0; timeMs < days * day; timeMs += stepMs) {
    for (const figure of monitor.add(frameOf(sceneAt(timeMs), timeMs, random))) {
      last.set(figure.measure, figure);
      if (figure.change !== null) changes.push(`${figure.measure} ${figure.change}`);
    }
  }
  return { figures: [...last.values()], psiOf: (measure: string) => last.get(measure)?.psi ?? Number.NaN, changes };
}

const isNight = (timeMs: number): boolean => timeMs % day < day / 3;

describe('what stays below 0.1', () => {
  test('is a scene that does not change', () => {
    const { figures, changes } = watch(new DriftMonitor({ windowMs: day }), 4, () => byDay);
    expect(figures.map(({ measure, className }) => `${measure} ${className ?? '-'}`)).toEqual([
      'brightness -',
      'scores person',
      'counts person',
    ]);
    for (const { psi } of figures) expect(psi).toBeLessThan(0.1);
    expect(changes).toEqual([]);
  });

  test('is the change of day and night, where the window is a whole day', () => {
    const { figures, changes } = watch(new DriftMonitor({ windowMs: day }), 4, (timeMs) =>
      isNight(timeMs) ? byNight : byDay,
    );
    for (const { psi } of figures) expect(psi).toBeLessThan(0.1);
    expect(changes).toEqual([]);
  });
});

describe('what goes above 0.25, and is told once', () => {
  test('is night against a reference of the day', () => {
    const { psiOf, changes } = watch(new DriftMonitor({ windowMs: day }), 4, (timeMs) =>
      timeMs < 2 * day ? byDay : byNight,
    );
    for (const measure of ['brightness', 'scores', 'counts']) expect(psiOf(measure)).toBeGreaterThan(0.25);
    expect(changes.toSorted()).toEqual(['brightness started', 'counts started', 'scores started']);
  });

  test('is one of the three alone, by its name', () => {
    const { psiOf, changes } = watch(new DriftMonitor({ windowMs: day }), 4, (timeMs) =>
      timeMs < 2 * day ? byDay : { ...byDay, brightness: 60 },
    );
    expect(changes).toEqual(['brightness started']);
    expect([psiOf('scores'), psiOf('counts')].every((psi) => psi < 0.1)).toBe(true);
  });

  test('and its end, where all is as before', () => {
    const { changes } = watch(new DriftMonitor({ windowMs: day }), 7, (timeMs) =>
      timeMs > 2 * day && timeMs < 3.5 * day ? { ...byDay, objects: 0.2 } : byDay,
    );
    expect(changes).toEqual(['counts started', 'counts ended']);
  });
});

describe('from a state', () => {
  const night = (timeMs: number): Scene => (timeMs > 2.4 * day && timeMs < 3.6 * day ? byNight : byDay);

  test('another monitor goes on as the one before would have, whenever it takes over', () => {
    const alone = watch(new DriftMonitor({ windowMs: day }), 6, night);
    const random = seeded(7);
    let monitor = new DriftMonitor({ windowMs: day });
    const last = new Map<string, DriftFigure>();
    const changes: string[] = [];
    for (let timeMs = 0, frame = 0; timeMs < 6 * day; timeMs += stepMs, frame++) {
      for (const figure of monitor.add(frameOf(night(timeMs), timeMs, random))) {
        last.set(figure.measure, figure);
        if (figure.change !== null) changes.push(`${figure.measure} ${figure.change}`);
      }
      if (frame % 997 !== 0) continue;
      const next = new DriftMonitor({ windowMs: day });
      next.restore(monitor.states());
      monitor = next;
    }
    expect([...last.values()]).toEqual(alone.figures);
    expect(changes).toEqual(alone.changes);
    expect(changes).toContain('scores ended');
    expect(monitor.states()[0]?.changes).toHaveLength(changes.length);
  });

  test('one of another window or another model is begun anew, and what was told of the camera stays', () => {
    const before = new DriftMonitor({ windowMs: day });
    watch(before, 4, (timeMs) => (timeMs < 2 * day ? byDay : byNight));
    const states = before.states();
    const other = new DriftMonitor({ windowMs: day / 2 });
    other.restore(states);
    other.add(frameOf(byDay, 4 * day, seeded(1)));
    expect(other.states()).toMatchObject([{ has_reference: false, changes: [] }]);
    const same = new DriftMonitor({ windowMs: day });
    same.restore(states);
    same.add({ ...frameOf(byDay, 4 * day, seeded(1)), modelDigest: 'b' });
    expect(same.states()).toMatchObject([{ has_reference: false, changes: [{}, {}, {}] }]);
  });

  test('after a pause that left nothing of the window there is no figure until there is a window again', () => {
    const monitor = new DriftMonitor({ windowMs: day });
    watch(monitor, 2.5, () => byDay);
    const random = seeded(5);
    const figures: number[] = [];
    for (let timeMs = 10 * day; timeMs < 11.5 * day; timeMs += stepMs)
      for (const { psi } of monitor.add(frameOf(isNight(timeMs) ? byNight : byDay, timeMs, random))) figures.push(psi);
    // The window that was under way ends with the first frame; then a day passes.
    expect(figures.length).toBe(3 + 4 * 3);
  });

  test('there is something to keep when a part of the window ended, and every so often between', () => {
    const monitor = new DriftMonitor({ windowMs: day });
    const random = seeded(5);
    let kept = 0;
    for (let timeMs = 0; timeMs < day; timeMs += stepMs) {
      monitor.add(frameOf(byDay, timeMs, random));
      if (monitor.due('door') !== undefined) kept++;
      expect(monitor.due('door')).toBeUndefined();
    }
    expect(kept).toBeGreaterThanOrEqual(60);
    expect(kept).toBeLessThan(72);
  });
});

test('too few samples give no figure', () => {
  const { figures } = watch(new DriftMonitor({ windowMs: day, minSamples: 2_000 }), 4, () => byDay);
  expect(figures).toEqual([]);
});

test('with another model the reference begins anew', () => {
  const monitor = new DriftMonitor({ windowMs: day });
  const random = seeded(3);
  const figures: DriftFigure[] = [];
  for (let timeMs = 0; timeMs < 3.5 * day; timeMs += stepMs) {
    const modelDigest = timeMs < 1.5 * day ? 'a' : 'b';
    const scene = modelDigest === 'a' ? byDay : byNight;
    figures.push(...monitor.add({ ...frameOf(scene, timeMs, random), modelDigest }));
  }
  expect(figures.filter(({ change }) => change !== null)).toEqual([]);
});

test('memory is bounded in classes and cameras', () => {
  const monitor = new DriftMonitor({ windowMs: day, maxRows: 10, maxCameras: 4 });
  for (let index = 0; index < 100; index++) {
    const objects = Array.from({ length: 5 }, (_, at) => ({ class_name: `class ${at}`, confidence: 0.5 }));
    monitor.add({ cameraId: `camera ${index}`, modelDigest: 'a', timeMs: index, objects, brightness: null });
    expect(monitor.rows).toBeLessThanOrEqual(10);
  }
});
