import { rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { AppError } from '#shared/core/errors';
import { closestName } from '#shared/core/closest-name';
import { addModel, type AddedModel } from './add-model.ts';
import { download } from './download.ts';
import { modelCatalogue, type CatalogueModel } from './model-catalogue.ts';

export interface PullModelOptions {
  readonly name: string;
  readonly directory: string;
  /** A file that was fetched by other means. */
  readonly from?: string;
  /** Address below which the files lie under their own names. */
  readonly mirror?: string;
  /** Gives up when nothing came for so long. */
  readonly patienceMs?: number;
  readonly onProgress?: (receivedBytes: number, sizeBytes: number) => void;
  readonly catalogue?: readonly CatalogueModel[];
}

/** Fetches a known model (or takes it from a file), checks it and keeps it with its manifest. */
export async function pullModel(options: PullModelOptions): Promise<AddedModel> {
  const { name, directory, from, mirror, patienceMs, onProgress, catalogue = modelCatalogue } = options;
  const wanted = name.toLowerCase().replaceAll('_', '-');
  const model = catalogue.find((each) => each.name === wanted);
  if (model === undefined) {
    const near = closestName(
      wanted,
      catalogue.map((each) => each.name),
    );
    throw new AppError(
      'SIGHTLINE_MODEL_NOT_FOUND',
      `no model '${name}' is known${near === undefined ? '' : `; did you mean ${near}?`}`,
      { action: 'Run `sightline models pull list`; any other ONNX file is taken by `sightline models add`.' },
    );
  }
  const fileName = basename(new URL(model.url).pathname);
  const file = from ?? join(directory, '.downloads', fileName);
  if (from === undefined) {
    const url = mirror === undefined ? model.url : `${mirror.replace(/\/+$/, '')}/${fileName}`;
    if (!URL.canParse(url)) throw new AppError('SIGHTLINE_USAGE', '--mirror is not an address');
    const { sha256, sizeBytes } = model;
    await download({
      ...{ url, target: file, sha256, sizeBytes },
      ...(patienceMs === undefined ? {} : { connectTimeoutMs: patienceMs, idleTimeoutMs: patienceMs }),
      onProgress: (bytes) => onProgress?.(bytes, sizeBytes),
    });
  }
  const { version, family, labels, licence, sha256 } = model;
  const added = await addModel({
    file,
    directory,
    name: model.name,
    version,
    family,
    labels,
    licence,
    source: model.url,
    expectedSha256: sha256,
  });
  if (from === undefined) await rm(file);
  return added;
}
