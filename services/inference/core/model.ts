import type { Precision } from '#schemas';
import type { InputGeometry } from '#shared/core/inference-geometry';

export type ModelFamily = 'yolox' | 'picodet';

/** What goes into a model: `(pixel - mean) / std` per channel, channels in `channelOrder`, NCHW float32. */
export interface ModelInput extends InputGeometry {
  readonly name: string;
  readonly channelOrder: 'RGB' | 'BGR';
  readonly mean: readonly [number, number, number];
  readonly std: readonly [number, number, number];
}

export interface YoloxOutputs {
  readonly strides: readonly number[];
}

export interface PicodetOutputs {
  readonly strides: readonly number[];
  /** Distances are distributions over 0..regMax, so `regMax + 1` bins a side. */
  readonly regMax: number;
}

export interface ModelThresholds {
  /** Lowest score that an object is reported with, for classes without an entry of their own. */
  readonly score: number;
  readonly perClass: Readonly<Record<string, number>>;
  /** Boxes of one class that overlap by more than this are one object. */
  readonly nmsIou: number;
  readonly maxObjects: number;
}

interface ModelDescription {
  readonly name: string;
  readonly version: string;
  readonly file: string;
  readonly sha256: string;
  readonly task: 'detection';
  readonly input: ModelInput;
  readonly labels: readonly string[];
  readonly thresholds: ModelThresholds;
  readonly precision: Precision;
  readonly licence: string;
  readonly source: string;
}

/** A model manifest as the code uses it: checked, complete, labels read. */
export type ModelManifest = ModelDescription &
  (
    | { readonly family: 'yolox'; readonly outputs: YoloxOutputs }
    | { readonly family: 'picodet'; readonly outputs: PicodetOutputs }
  );

/** What a user sets over the thresholds of the manifest. A class that `classes` does not name is not reported. */
export interface ThresholdOverrides {
  readonly score?: number;
  readonly perClass?: Readonly<Record<string, number>>;
  readonly nmsIou?: number;
  readonly maxObjects?: number;
  readonly classes?: readonly string[];
}

/** Thresholds as the decoders use them: one number a class, Infinity for a class that nobody wants. Plain data, travels to workers. */
export interface ScoreRules {
  readonly scoreByClass: Float64Array;
  readonly lowestScore: number;
  readonly nmsIou: number;
  readonly maxObjects: number;
}
