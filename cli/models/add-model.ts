import { createHash } from 'node:crypto';
import { basename } from 'node:path';
import { readFile } from 'node:fs/promises';
import { AppError, toAppError } from '#shared/core/errors';
import { formatYaml } from '#shared/runtime/load-yaml';
import { defaultMaxModelBytes, readWhole } from '../../services/inference/adapters/model-files/model-library.ts';
import { storeModel } from '../../services/inference/adapters/model-files/model-store.ts';
import { probeModel, tryModel, type TrialLimits } from '../../services/inference/adapters/onnxruntime/model-trial.ts';
import { detectionStride } from '../../services/inference/core/detections.ts';
import { guessInput, guessModel, type Finding } from '../../services/inference/core/model-guess.ts';
import type { TensorFacts } from '../../services/inference/core/model-facts.ts';
import { inputSizeOfAspect, withInputShape } from '../../services/inference/core/model-shape.ts';
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
  await tryModel({ manifest: untrimmed, bytes }, null, options.limits);
  const trimmed = await trimmedManifest(untrimmed, bytes, probed.outputs, options.limits);
  const manifest = trimmed ?? untrimmed;
  const image =
    options.image === undefined
      ? null
      : await picturePixels(options.image, await pictureSize(options.image), manifest.input);
  const boxes = image === null ? null : (await tryModel({ manifest, bytes }, image, options.limits)).boxes;

  const stored = await storeModel(options.directory, { manifest: writtenManifest(manifest), name, version }, bytes);
  if (!stored.isNew) await checkIsSame(stored.manifestPath, manifest);
  return {
    manifest,
    manifestPath: stored.manifestPath,
    isNew: stored.isNew,
    findings: [...guess.findings, ...shapeFinding(untrimmed, trimmed)],
    objects: boxes === null || manifest.family === 'embedding' ? null : objectsOf(boxes, manifest.labels),
  };
}

/**
 * With the filling of its pictures cut off, where it runs so: a network that is convolutions from end to end sees the same for less work. It gives
 * as many cells as the picture has; one that gives as many as ever has its own size written into it.
 */
async function trimmedManifest(
  manifest: ModelManifest,
  bytes: Uint8Array<ArrayBuffer>,
  outputs: readonly TensorFacts[],
  limits: TrialLimits | undefined,
): Promise<ModelManifest | undefined> {
  if (!hasShape(manifest)) return undefined;
  const trimmed = withInputShape(manifest, 'trim');
  const { widthPx, heightPx } = manifest.input;
  // Long enough for the smallest input to be trimmed.
  const size = inputSizeOfAspect(trimmed, 2, 1);
  const share = (size.widthPx * size.heightPx) / (widthPx * heightPx);
  try {
    const probed = await probeModel(resizeOnnxInput(bytes, { ...manifest.input, ...size }), size, limits);
    const isOfCells = outputs.every((output, index) => valuesOf(probed.outputs[index]) === share * valuesOf(output));
    if (share === 1 || !isOfCells) return undefined;
    await tryModel({ manifest: trimmed, bytes }, null, limits);
    return trimmed;
  } catch {
    // However it fails, it is of no use in that shape, and is in its own.
    return undefined;
  }
}

function valuesOf(output: TensorFacts | undefined): number {
  return output?.shape.reduce((product: number, length) => product * Number(length), 1) ?? 0;
}

function hasShape({ task, input }: ModelManifest): boolean {
  return input.resize.mode === 'letterbox' && (task === 'detection' || task === 'pose');
}

function shapeFinding(manifest: ModelManifest, trimmed: ModelManifest | undefined): readonly Finding[] {
  if (!hasShape(manifest)) return [];
  const { widthPx, heightPx } = manifest.input;
  return trimmed === undefined
    ? [{ what: 'shape', value: 'fixed', certainty: 'certain', because: `it runs at ${widthPx}x${heightPx} only` }]
    : [
        {
          what: 'shape',
          value: 'trim',
          certainty: 'certain',
          because: 'it runs without the filling of a picture, for less work',
        },
      ];
}

async function checkIsSame(manifestPath: string, { name, version, sha256 }: ModelManifest): Promise<void> {
  const there = parseManifest(await readFile(manifestPath, 'utf8'), `manifest ${manifestPath}`, () => []);
  if (there.sha256 === sha256) return;
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
