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
import { taskOf, type ModelFamily, type ModelManifest } from '../../services/inference/core/model.ts';
import { inspectOnnx } from '../../services/inference/core/onnx-inspector.ts';
import { parseManifest } from '../../services/inference/model-manifest.ts';
import { picturePixels, pictureSize } from './picture-pixels.ts';

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
  const manifest = parseManifest(formatYaml(written), `what was found out about ${fileName}`, () => []);
  const image =
    options.image === undefined
      ? null
      : await picturePixels(options.image, await pictureSize(options.image), manifest.input);
  const { boxes } = await tryModel({ manifest, bytes }, image, options.limits);

  const stored = await storeModel(options.directory, { manifest: written, name, version }, bytes);
  if (!stored.isNew) await checkIsSame(stored.manifestPath, manifest);
  return {
    manifest,
    manifestPath: stored.manifestPath,
    isNew: stored.isNew,
    findings: guess.findings,
    objects: image === null || manifest.family === 'embedding' ? null : objectsOf(boxes, manifest.labels),
  };
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
