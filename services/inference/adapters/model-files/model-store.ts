import { randomUUID } from 'node:crypto';
import { chmod, mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { formatYaml } from '#shared/runtime/load-yaml';
import { isErrorCode } from './error-code.ts';

export interface StoredModel {
  readonly directory: string;
  readonly manifestPath: string;
  readonly isNew: boolean;
}

/**
 * Puts a model and its manifest into DIRECTORY/NAME/VERSION, whole or not at all. What is there is never changed: a version that exists
 * stays as it is.
 */
export async function storeModel(
  directory: string,
  model: { readonly manifest: Readonly<Record<string, unknown>>; readonly name: string; readonly version: string },
  bytes: Uint8Array,
): Promise<StoredModel> {
  const target = join(directory, model.name, model.version);
  const stored = { directory: target, manifestPath: join(target, 'manifest.yaml') };
  const draft = join(directory, model.name, `.${randomUUID()}`);
  await mkdir(draft, { recursive: true });
  try {
    await writeFile(join(draft, 'model.onnx'), bytes);
    await writeFile(join(draft, 'manifest.yaml'), formatYaml(model.manifest));
    for (const name of ['model.onnx', 'manifest.yaml']) await chmod(join(draft, name), 0o444);
    // A folder that is not empty is never replaced by rename.
    await rename(draft, target);
    return { ...stored, isNew: true };
  } catch (error) {
    if (isErrorCode(error, 'ENOTEMPTY', 'EEXIST')) return { ...stored, isNew: false };
    throw error;
  } finally {
    await rm(draft, { recursive: true, force: true });
  }
}
