import type { DriftChangeRecord, DriftState } from '#schemas';
import { slotsOfWindow, WindowedHistogram } from './windowed-histogram.ts';

export interface ClassRow {
  readonly scores: WindowedHistogram;
  /** Objects of the class in a frame: 1, 2, 3-4, 5-8, 9 and more. Frames without one are the rest of all frames. */
  readonly counts: WindowedHistogram;
}

/** What is known of a camera for finding drift. */
export interface DriftCamera {
  readonly modelDigest: string;
  timeMs: number;
  slot: number;
  slotStartMs: number;
  /** Slots that are over, since the start or since the reference is there. */
  filled: number;
  hasReference: boolean;
  /** One bin: frames. */
  readonly frames: WindowedHistogram;
  readonly brightness: WindowedHistogram;
  readonly classes: Map<string, ClassRow>;
  readonly drifting: Set<string>;
  /** The last ones, oldest first; of models before too. */
  readonly changes: DriftChangeRecord[];
  /** Whether something is to be kept that was not. */
  isDue: boolean;
  keptMs: number;
}

export const scoreBins = 10;
const countBins = 5;
export const brightnessBins = 16;

export function newCamera(modelDigest: string, timeMs: number, changes: readonly DriftChangeRecord[]): DriftCamera {
  return {
    ...{ modelDigest, timeMs, slot: 0, slotStartMs: timeMs, filled: 0, hasReference: false },
    ...{ frames: new WindowedHistogram(1), brightness: new WindowedHistogram(brightnessBins) },
    ...{ classes: new Map(), drifting: new Set(), changes: [...changes], isDue: false, keptMs: timeMs },
  };
}

export function newRow(record?: DriftState['classes'][number]): ClassRow {
  return {
    scores: new WindowedHistogram(scoreBins, record?.scores),
    counts: new WindowedHistogram(countBins, record?.counts),
  };
}

export function stateOf(cameraId: string, windowMs: number, camera: DriftCamera): DriftState {
  return {
    camera_id: cameraId,
    time: Math.round(camera.timeMs * 1000),
    model_digest: camera.modelDigest,
    window_ms: Math.round(windowMs),
    slot: camera.slot,
    slot_start: Math.round(camera.slotStartMs * 1000),
    slots_filled: camera.filled,
    has_reference: camera.hasReference,
    frames: camera.frames.record(),
    brightness: camera.brightness.record(),
    classes: [...camera.classes].map(([name, { scores, counts }]) => ({
      class_name: name,
      scores: scores.record(),
      counts: counts.record(),
    })),
    drifting: [...camera.drifting],
    changes: [...camera.changes],
  };
}

/** Goes on from a state at `timeMs`, with at most `maxRows` classes. */
export function cameraOf(state: DriftState, timeMs: number, maxRows: number): DriftCamera {
  const { slot } = state;
  return {
    modelDigest: state.model_digest,
    timeMs,
    slot: slot >= 0 && slot < slotsOfWindow ? slot : 0,
    // The clock may have been set back since.
    slotStartMs: Math.min(timeMs, state.slot_start / 1000),
    filled: state.slots_filled,
    hasReference: state.has_reference,
    frames: new WindowedHistogram(1, state.frames),
    brightness: new WindowedHistogram(brightnessBins, state.brightness),
    classes: new Map(state.classes.slice(0, maxRows).map((row) => [row.class_name, newRow(row)])),
    drifting: new Set(state.drifting),
    changes: [...state.changes],
    isDue: false,
    keptMs: timeMs,
  };
}

export function histogramsOf({ frames, brightness, classes }: DriftCamera): readonly WindowedHistogram[] {
  return [frames, brightness, ...[...classes.values()].flatMap(({ scores, counts }) => [scores, counts])];
}
