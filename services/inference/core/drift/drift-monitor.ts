import type { DriftMeasureName, DriftState } from '#schemas';
import {
  brightnessBins,
  cameraOf,
  histogramsOf,
  newCamera,
  newRow,
  scoreBins,
  stateOf,
  type ClassRow,
  type DriftCamera,
} from './drift-camera.ts';
import { driftAbove, populationStabilityIndex, stableBelow } from './psi.ts';
import { slotsOfWindow } from './windowed-histogram.ts';

export type DriftMeasure = 'scores' | 'counts' | 'brightness';

/** An analysed frame. */
export interface DriftObservation {
  readonly cameraId: string;
  /** Another model sees otherwise: its reference begins anew. */
  readonly modelDigest: string;
  readonly timeMs: number;
  readonly objects: readonly { readonly class_name: string; readonly confidence: number }[];
  /** 0..255; null where the picture was not looked at. */
  readonly brightness: number | null;
}

export interface DriftFigure {
  readonly cameraId: string;
  /** Null for brightness. */
  readonly className: string | null;
  readonly measure: DriftMeasure;
  readonly psi: number;
  /** Where this figure began or ended a drift. */
  readonly change: 'started' | 'ended' | null;
}

export interface DriftMonitorOptions {
  /** Length of the reference and of what is compared with it. */
  readonly windowMs: number;
  /** Fewer than these in either give no figure: with ten bins chance alone is then below 0.06. Default 300. */
  readonly minSamples?: number;
  /** Cameras times classes that are followed. Default 4,096, of about 1.5 kB each; what comes above is left out. */
  readonly maxRows?: number;
  /** Default 2,048; the one that was longest without a frame goes first. */
  readonly maxCameras?: number;
}

/** Between two states of a camera that are kept only since time has passed: what is lost with a process is at most this part of a window. */
const keptPartsOfWindow = 64;
const leastKeptMs = 10_000;
const maxChanges = 16;
const names: Readonly<Record<DriftMeasure, DriftMeasureName>> = {
  scores: 'SCORES',
  counts: 'COUNTS',
  brightness: 'BRIGHTNESS',
};

/**
 * Whether what a camera sees, or what a model makes of it, is still what it was: for each camera and class the distribution of scores and of
 * objects in a frame, for each camera that of brightness, over a moving window against the first full window. Memory is bounded. What it
 * knows of a camera can be taken out as a state, and another monitor goes on from there.
 */
export class DriftMonitor {
  readonly #windowMs: number;
  readonly #minSamples: number;
  readonly #maxRows: number;
  readonly #maxCameras: number;
  /** The one that had a frame last stands last. */
  readonly #cameras = new Map<string, DriftCamera>();
  /** Of cameras that had no frame yet. */
  readonly #remembered = new Map<string, DriftState>();
  #rows = 0;

  constructor({ windowMs, minSamples = 300, maxRows = 4_096, maxCameras = 2_048 }: DriftMonitorOptions) {
    this.#windowMs = windowMs;
    this.#minSamples = minSamples;
    this.#maxRows = maxRows;
    this.#maxCameras = maxCameras;
  }

  /** Cameras times classes that are followed. */
  get rows(): number {
    return this.#rows;
  }

  get cameraIds(): readonly string[] {
    return [...this.#cameras.keys()];
  }

  /** The figures that are new with this frame: none, but when the window of its camera has moved on. */
  add(seen: DriftObservation): readonly DriftFigure[] {
    const camera = this.#cameraOf(seen);
    const figures: DriftFigure[] = [];
    const slotMs = this.#windowMs / slotsOfWindow;
    let moved = 0;
    for (; seen.timeMs >= camera.slotStartMs + slotMs; moved++) {
      if (moved === 0) figures.push(...this.#endSlot(seen, camera));
      camera.slotStartMs =
        moved < slotsOfWindow
          ? camera.slotStartMs + slotMs
          : seen.timeMs - ((seen.timeMs - camera.slotStartMs) % slotMs);
      camera.slot = (camera.slot + 1) % slotsOfWindow;
      for (const each of histogramsOf(camera)) each.clearSlot(camera.slot);
    }
    // It was away for so long that nothing is left: an hour of it is not to be held against a day.
    if (moved >= slotsOfWindow) camera.filled = 0;
    camera.timeMs = seen.timeMs;
    this.#count(camera, seen);
    const keptForMs = Math.max(leastKeptMs, this.#windowMs / keptPartsOfWindow);
    if (moved > 0 || seen.timeMs >= camera.keptMs + keptForMs) camera.isDue = true;
    return figures;
  }

  /** Its state, where there is something new to keep; asked again at once, there is not. */
  due(cameraId: string): DriftState | undefined {
    const camera = this.#cameras.get(cameraId);
    if (camera?.isDue !== true) return undefined;
    camera.isDue = false;
    camera.keptMs = camera.timeMs;
    return stateOf(cameraId, this.#windowMs, camera);
  }

  states(): readonly DriftState[] {
    return [...this.#cameras].map(([cameraId, camera]) => stateOf(cameraId, this.#windowMs, camera));
  }

  /** From here its next frame goes on, whatever was known of it; states of another window and those above the limit of cameras are left out. */
  restore(states: Iterable<DriftState>): void {
    for (const state of states) {
      this.forget(state.camera_id);
      if (state.window_ms !== Math.round(this.#windowMs) || this.#remembered.size >= this.#maxCameras) continue;
      this.#remembered.set(state.camera_id, state);
    }
  }

  forget(cameraId: string): void {
    this.#remembered.delete(cameraId);
    this.#rows -= this.#cameras.get(cameraId)?.classes.size ?? 0;
    this.#cameras.delete(cameraId);
  }

  #cameraOf({ cameraId, modelDigest, timeMs }: DriftObservation): DriftCamera {
    let camera = this.#cameras.get(cameraId);
    if (camera === undefined) {
      const state = this.#remembered.get(cameraId);
      this.#remembered.delete(cameraId);
      if (state !== undefined) {
        camera = cameraOf(state, timeMs, this.#maxRows - this.#rows);
        this.#rows += camera.classes.size;
      }
    }
    this.#cameras.delete(cameraId);
    if (camera?.modelDigest !== modelDigest) {
      this.#rows -= camera?.classes.size ?? 0;
      camera = newCamera(modelDigest, timeMs, camera?.changes ?? []);
    }
    this.#cameras.set(cameraId, camera);
    if (this.#cameras.size > this.#maxCameras) {
      const [oldest] = this.#cameras.keys();
      if (oldest !== undefined) this.forget(oldest);
    }
    return camera;
  }

  #count(camera: DriftCamera, { objects, brightness }: DriftObservation): void {
    const { slot } = camera;
    camera.frames.add(slot, 0);
    if (brightness !== null) camera.brightness.add(slot, (brightness / 256) * brightnessBins);
    if (objects.length === 0) return;
    const found = new Map<string, number>();
    for (const { class_name: name, confidence } of objects) {
      const row = this.#rowOf(camera, name);
      if (row === undefined) continue;
      row.scores.add(slot, confidence * scoreBins);
      found.set(name, (found.get(name) ?? 0) + 1);
    }
    for (const [name, count] of found) camera.classes.get(name)?.counts.add(slot, Math.ceil(Math.log2(count)));
  }

  #rowOf({ classes }: DriftCamera, name: string): ClassRow | undefined {
    let row = classes.get(name);
    if (row === undefined && this.#rows < this.#maxRows) {
      row = newRow();
      classes.set(name, row);
      this.#rows += 1;
    }
    return row;
  }

  #endSlot(seen: DriftObservation, camera: DriftCamera): readonly DriftFigure[] {
    camera.filled += 1;
    if (camera.filled < slotsOfWindow) return [];
    if (!camera.hasReference) {
      if (sum(camera.frames.window()) < this.#minSamples) return [];
      for (const each of histogramsOf(camera)) each.freeze();
      camera.hasReference = true;
      camera.filled = 0;
      return [];
    }
    const figures: DriftFigure[] = [];
    const compare = (
      measure: DriftMeasure,
      className: string | null,
      reference: Uint32Array,
      current: Uint32Array,
    ): void => {
      if (sum(reference) < this.#minSamples || sum(current) < this.#minSamples) return;
      const psi = populationStabilityIndex(reference, current);
      const change = changeOf(camera, `${measure}/${className ?? ''}`, psi);
      figures.push({ cameraId: seen.cameraId, className, measure, psi, change });
      if (change === null) return;
      camera.changes.push({
        ...{ time: Math.round(seen.timeMs * 1000), model_digest: camera.modelDigest },
        ...{ measure: names[measure], class_name: className, psi, is_over: change === 'ended' },
      });
      camera.changes.splice(0, camera.changes.length - maxChanges);
    };
    compare('brightness', null, camera.brightness.reference, camera.brightness.window());
    const [framesBefore, framesNow] = [sum(camera.frames.reference), sum(camera.frames.window())];
    for (const [name, { scores, counts }] of camera.classes) {
      compare('scores', name, scores.reference, scores.window());
      compare('counts', name, withNone(counts.reference, framesBefore), withNone(counts.window(), framesNow));
    }
    return figures;
  }
}

/** It begins above the upper limit and ends below the lower one, so that a figure that moves about one of them is not told again and again. */
function changeOf({ drifting }: DriftCamera, key: string, psi: number): DriftFigure['change'] {
  if (!drifting.has(key) && psi > driftAbove) {
    drifting.add(key);
    return 'started';
  }
  return psi < stableBelow && drifting.delete(key) ? 'ended' : null;
}

/** With the frames that had none before the others. */
function withNone(counts: Uint32Array, frames: number): Uint32Array {
  return Uint32Array.of(Math.max(0, frames - sum(counts)), ...counts);
}

function sum(counts: Uint32Array): number {
  return counts.reduce((total, count) => total + count, 0);
}
