import { driftAbove, populationStabilityIndex, stableBelow } from './psi.ts';
import { slotsOfWindow, WindowedHistogram } from './windowed-histogram.ts';

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

interface ClassRow {
  readonly scores: WindowedHistogram;
  /** Objects of the class in a frame: 1, 2, 3-4, 5-8, 9 and more. Frames without one are the rest of all frames. */
  readonly counts: WindowedHistogram;
}

interface Camera {
  readonly modelDigest: string;
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
}

const scoreBins = 10;
const countBins = 5;
const brightnessBins = 16;

/**
 * Whether what a camera sees, or what a model makes of it, is still what it was: for each camera and class the distribution of scores and of
 * objects in a frame, for each camera that of brightness, over a moving window against the first full window. Memory is bounded.
 */
export class DriftMonitor {
  readonly #windowMs: number;
  readonly #minSamples: number;
  readonly #maxRows: number;
  readonly #maxCameras: number;
  /** The one that had a frame last stands last. */
  readonly #cameras = new Map<string, Camera>();
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

  /** The figures that are new with this frame: none, but when the window of its camera has moved on. */
  add(seen: DriftObservation): readonly DriftFigure[] {
    const camera = this.#cameraOf(seen);
    const figures: DriftFigure[] = [];
    const slotMs = this.#windowMs / slotsOfWindow;
    // A camera that was away for long comes back to an empty window.
    for (let moved = 0; seen.timeMs >= camera.slotStartMs + slotMs; moved++) {
      if (moved === 0) figures.push(...this.#endSlot(seen.cameraId, camera));
      camera.slotStartMs =
        moved < slotsOfWindow
          ? camera.slotStartMs + slotMs
          : seen.timeMs - ((seen.timeMs - camera.slotStartMs) % slotMs);
      camera.slot = (camera.slot + 1) % slotsOfWindow;
      for (const each of histogramsOf(camera)) each.clearSlot(camera.slot);
    }
    this.#count(camera, seen);
    return figures;
  }

  #cameraOf({ cameraId, modelDigest, timeMs }: DriftObservation): Camera {
    let camera = this.#cameras.get(cameraId);
    this.#cameras.delete(cameraId);
    if (camera !== undefined && camera.modelDigest !== modelDigest) {
      this.#rows -= camera.classes.size;
      camera = undefined;
    }
    camera ??= {
      ...{ modelDigest, slot: 0, slotStartMs: timeMs, filled: 0, hasReference: false },
      ...{ frames: new WindowedHistogram(1), brightness: new WindowedHistogram(brightnessBins) },
      ...{ classes: new Map(), drifting: new Set() },
    };
    this.#cameras.set(cameraId, camera);
    if (this.#cameras.size > this.#maxCameras) {
      const [oldest] = this.#cameras;
      if (oldest !== undefined) {
        this.#rows -= oldest[1].classes.size;
        this.#cameras.delete(oldest[0]);
      }
    }
    return camera;
  }

  #count(camera: Camera, { objects, brightness }: DriftObservation): void {
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

  #rowOf({ classes }: Camera, name: string): ClassRow | undefined {
    let row = classes.get(name);
    if (row === undefined && this.#rows < this.#maxRows) {
      row = { scores: new WindowedHistogram(scoreBins), counts: new WindowedHistogram(countBins) };
      classes.set(name, row);
      this.#rows += 1;
    }
    return row;
  }

  #endSlot(cameraId: string, camera: Camera): readonly DriftFigure[] {
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
      figures.push({
        cameraId,
        className,
        measure,
        psi,
        change: changeOf(camera, `${measure}/${className ?? ''}`, psi),
      });
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
function changeOf({ drifting }: Camera, key: string, psi: number): DriftFigure['change'] {
  if (!drifting.has(key) && psi > driftAbove) {
    drifting.add(key);
    return 'started';
  }
  return psi < stableBelow && drifting.delete(key) ? 'ended' : null;
}

function histogramsOf({ frames, brightness, classes }: Camera): readonly WindowedHistogram[] {
  return [frames, brightness, ...[...classes.values()].flatMap(({ scores, counts }) => [scores, counts])];
}

/** With the frames that had none before the others. */
function withNone(counts: Uint32Array, frames: number): Uint32Array {
  return Uint32Array.of(Math.max(0, frames - sum(counts)), ...counts);
}

function sum(counts: Uint32Array): number {
  return counts.reduce((total, count) => total + count, 0);
}
