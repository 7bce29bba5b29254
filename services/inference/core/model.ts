import type { Precision } from '#schemas';
import type { InputGeometry } from '#shared/core/inference-geometry';

/** What goes into a model: `(pixel - mean) / std` per channel, channels in `channelOrder`. */
export interface ModelInput extends InputGeometry {
  readonly name: string;
  readonly layout: 'NCHW' | 'NHWC';
  readonly dtype: 'float32' | 'uint8';
  readonly channelOrder: 'RGB' | 'BGR';
  readonly mean: readonly [number, number, number];
  readonly std: readonly [number, number, number];
}

interface GridOutputs {
  readonly strides: readonly number[];
}

interface DistributionOutputs extends GridOutputs {
  /** Distances are distributions over 0..regMax, so `regMax + 1` bins a side. */
  readonly regMax: number;
}

interface SsdOutputs {
  readonly boxForm: 'yxyx_fraction' | 'xyxy_pixels';
  readonly firstLabel: number;
}

interface ClassificationOutputs {
  /** What makes scores between 0 and 1 of the numbers; `none` where the graph does it. */
  readonly activation: 'softmax' | 'sigmoid' | 'none';
  /** Most classes of one picture. */
  readonly topK: number;
}

interface PoseOutputs {
  /** Names of the keypoints, in the order of the output. */
  readonly keypoints: readonly string[];
}

interface EmbeddingOutputs {
  /** Classes of the objects that it describes; null: all. */
  readonly classes: readonly string[] | null;
  /** Most objects of one frame that it describes, the surest first. */
  readonly maxObjects: number;
}

type NoOutputs = Readonly<Record<string, never>>;

/** What a manifest has to say of the outputs, by family. */
export interface FamilyOutputs {
  readonly classification: ClassificationOutputs;
  readonly embedding: EmbeddingOutputs;
  readonly fastestdet: NoOutputs;
  readonly nanodet: DistributionOutputs;
  readonly picodet: DistributionOutputs;
  readonly rtdetr: NoOutputs;
  readonly ssd: SsdOutputs;
  readonly ultraface: NoOutputs;
  readonly yolo_nms: NoOutputs;
  readonly yolov5: NoOutputs;
  readonly yolov8: NoOutputs;
  readonly yolov8_pose: PoseOutputs;
  readonly yolox: GridOutputs;
  readonly yunet: GridOutputs;
}

export type ModelFamily = keyof FamilyOutputs;

/** What a model of the family is for; `embedding` describes the objects that another model finds. */
export type ModelTask = 'detection' | 'classification' | 'pose' | 'embedding';

export function taskOf(family: ModelFamily): ModelTask {
  if (family === 'classification' || family === 'embedding') return family;
  return family === 'yolov8_pose' ? 'pose' : 'detection';
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
  readonly task: ModelTask;
  readonly input: ModelInput;
  readonly labels: readonly string[];
  readonly thresholds: ModelThresholds;
  readonly precision: Precision;
  readonly licence: string;
  readonly source: string;
}

/** A model manifest as the code uses it: checked, complete, labels read. */
export type ModelManifest = {
  [Family in ModelFamily]: ModelDescription & { readonly family: Family; readonly outputs: FamilyOutputs[Family] };
}[ModelFamily];

export type EmbeddingManifest = Extract<ModelManifest, { family: 'embedding' }>;

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
