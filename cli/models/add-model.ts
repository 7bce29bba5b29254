import { createHash } from 'node:crypto';
import { basename } from 'node:path';
import { readFile } from 'node:fs/promises';
import { AppError, toAppError } from '#shared/core/errors';
import type { PlanarImage } from '#shared/core/frame';
import { inferenceSize } from '#shared/core/inference-geometry';
import { inputSizeFor, shapeOf } from '#shared/core/input-shape';
import { formatYaml } from '#shared/runtime/load-yaml';
import { defaultMaxModelBytes, readWhole } from '../../services/inference/adapters/model-files/model-library.ts';
import { storeModel } from '../../services/inference/adapters/model-files/model-store.ts';
import { probeModel, tryModel, type TrialLimits } from '../../services/inference/adapters/onnxruntime/model-trial.ts';
import { detectionStride } from '../../services/inference/core/detections.ts';
import { guessInput, guessModel, type Finding } from '../../services/inference/core/model-guess.ts';
import type { TensorFacts } from '../../services/inference/core/model-facts.ts';
import { withInputShape } from '../../services/inference/core/model-shape.ts';
import { resizeOnnxInput } from '../../services/inference/core/onnx-input-size.ts';
import { taskOf, type ModelFamily, type ModelManifest } from '../../services/inference/core/model.ts';
import { inspectOnnx } from '../../services/inference/core/onnx-inspector.ts';
import { parseManifest } from '../../services/inference/model-manifest.ts';
import { picturePixels, pictureSize } from './picture-pixels.ts';
import { writtenManifest } from './written-manifest.ts';

export interface AddModelOptions {
  readonly file: string;
  /** Where models are kept: the state directory's models/. */
  readonly directory: string;
  readonly family?: ModelFamily;
  readonly labels?: readonly string[];
  readonly name?: string;
  readonly version?: string;
  readonly size?: { readonly widthPx: number; readonly heightPx: number };
  readonly licence?: string;
  /** Where the file comes from; default: its name. */
  readonly source?: string;
  /** Refused where the file is another. */
  readonly expectedSha256?: string;
  readonly image?: string;
  readonly limits?: TrialLimits;
}

export interface AddedModel {
  readonly manifest: ModelManifest;
  readonly manifestPath: string;
  /** False where this very file was added before under this name. */
  readonly isNew: boolean;
  readonly findings: readonly Finding[];
  /** What it saw on the picture; null where none was given, and of an embedding. */
  readonly objects: readonly { readonly class_name: string; readonly confidence: number }[] | null;
}

/** From a bare ONNX file to a model that runs: look, guess, try, write down. Nothing is written unless it ran. */
export async function addModel(options: AddModelOptions): Promise<AddedModel> {
  const bytes = await readWhole(options.file, defaultMaxModelBytes).catch((thrown: unknown) => {
    const error = toAppError(thrown);
    if (error.code !== 'SIGHTLINE_MODEL_NOT_FOUND') throw error;
    throw new AppError(error.code, error.message, {
      cause: error,
      action: 'Give the path of an ONNX file that you may read.',
    });
  });
  const digest = createHash('sha256').update(bytes).digest('hex');
  if (options.expectedSha256 !== undefined && digest !== options.expectedSha256) {
    throw new AppError(
      'SIGHTLINE_MODEL_DIGEST_MISMATCH',
      `${options.file} has sha256 ${digest}, expected is ${options.expectedSha256}`,
    );
  }
  // First of all: what refers outside its file must not be loaded.
  const { metadata } = inspectOnnx(bytes);
  const probed = await probeModel(bytes, options.size, options.limits);
  const input = guessInput(probed.inputs, options.size);
  const fileName = basename(options.file);
  const guess = guessModel({ fileName, metadata, ...probed }, input, options);

  const name = options.name ?? nameOf(fileName);
  const version = options.version ?? digest.slice(0, 12);
  const written = {
    schema_version: 1,
    name,
    version,
    file: 'model.onnx',
    sha256: digest,
    task: taskOf(guess.family),
    family: guess.family,
    input: guess.input,
    outputs: guess.outputs,
    // What an embedding is for stands with its outputs.
    ...(guess.family === 'embedding' ? {} : { labels: guess.labels, thresholds: guess.thresholds }),
    precision: 'FP32',
    licence: options.licence ?? metadata['license']?.slice(0, 200) ?? 'unknown',
    source: options.source ?? `added from ${fileName}`,
  };
  const untrimmed = parseManifest(formatYaml(written), `what was found out about ${fileName}`, () => []);
  const image =
    options.image === undefined
      ? null
      : await picturePixels(options.image, await pictureSize(options.image), untrimmed.input);
  const { manifest, boxes } = await tryShapes(untrimmed, bytes, probed.outputs, { image, limits: options.limits });

  const stored = await storeModel(options.directory, { manifest: writtenManifest(manifest), name, version }, bytes);
  const kept = stored.isNew ? manifest : await keptManifest(stored.manifestPath, manifest);
  return {
    manifest: kept,
    manifestPath: stored.manifestPath,
    isNew: stored.isNew,
    findings: [...guess.findings, ...shapeFinding(kept)],
    objects: image === null || kept.family === 'embedding' ? null : objectsOf(boxes, kept.labels),
  };
}

interface Trial {
  readonly image: PlanarImage | null;
  readonly limits: TrialLimits | undefined;
}

/** Runs it without the filling of its pictures, which is less work, and where it cannot be run so in its own shape. */
async function tryShapes(
  manifest: ModelManifest,
  bytes: Uint8Array<ArrayBuffer>,
  outputs: readonly TensorFacts[],
  { image, limits }: Trial,
): Promise<{ readonly manifest: ModelManifest; readonly boxes: Float32Array }> {
  if (hasShape(manifest)) {
    try {
      const trimmed = withInputShape(manifest, 'trim');
      if (await followsItsInput(trimmed, bytes, outputs, limits))
        return { manifest: trimmed, ...(await tryModel({ manifest: trimmed, bytes }, image, limits)) };
    } catch {
      // However it failed, it is of no use in that shape. What is wrong with it in any shape is told by the trial in its own.
    }
  }
  return { manifest, ...(await tryModel({ manifest, bytes }, image, limits)) };
}

/**
 * A network that is convolutions from end to end gives as many cells as the picture has, and sees the same in it; one that gives as many as ever
 * has its own size written into it. `outputs`: as they are in its own size.
 */
async function followsItsInput(
  { input }: ModelManifest,
  bytes: Uint8Array<ArrayBuffer>,
  outputs: readonly TensorFacts[],
  limits: TrialLimits | undefined,
): Promise<boolean> {
  // Long enough for the smallest input to be trimmed.
  const size = inputSizeFor(inferenceSize(2, 1, input), input);
  const share = (size.widthPx * size.heightPx) / (input.widthPx * input.heightPx);
  if (share === 1) return false;
  const probed = await probeModel(resizeOnnxInput(bytes, { ...input, ...size }), size, limits);
  return outputs.every((output, index) => valuesOf(probed.outputs[index]) === share * valuesOf(output));
}

function valuesOf(output: TensorFacts | undefined): number {
  return output?.shape.reduce((product: number, length) => product * Number(length), 1) ?? 0;
}

function hasShape({ task, input }: ModelManifest): boolean {
  return input.resize.mode === 'letterbox' && (task === 'detection' || task === 'pose');
}

function shapeFinding(manifest: ModelManifest): readonly Finding[] {
  if (!hasShape(manifest)) return [];
  const { widthPx, heightPx } = manifest.input;
  const value = shapeOf(manifest.input);
  const because =
    value === 'fixed'
      ? `pictures are filled up to ${widthPx}x${heightPx}`
      : 'it runs without the filling of a picture, for less work';
  return [{ what: 'shape', value, certainty: 'certain', because }];
}

/** What was kept of this very file before; a version is never changed. */
async function keptManifest(manifestPath: string, { name, version, sha256 }: ModelManifest): Promise<ModelManifest> {
  const there = parseManifest(await readFile(manifestPath, 'utf8'), `manifest ${manifestPath}`, () => []);
  if (there.sha256 === sha256) return there;
  throw new AppError(
    'SIGHTLINE_MODEL_DIGEST_MISMATCH',
    `model ${name} ${version} is there already, with another file: a version is never changed`,
    { action: 'Give the new file a version of its own with --model-version.' },
  );
}

function objectsOf(boxes: Float32Array, labels: readonly string[]): { class_name: string; confidence: number }[] {
  return Array.from({ length: boxes.length / detectionStride }, (_, index) => {
    const [confidence = 0, classId = 0] = boxes.subarray(index * detectionStride + 4, index * detectionStride + 6);
    return { class_name: labels[classId] ?? String(classId), confidence };
  });
}

function nameOf(fileName: string): string {
  const plain = fileName
    .replace(/\.onnx$/i, '')
    .toLowerCase()
    .replaceAll(/[^a-z0-9.-]+/g, '-')
    .replace(/^[^a-z0-9]+/, '')
    .slice(0, 64);
  return plain === '' ? 'model' : plain;
}
