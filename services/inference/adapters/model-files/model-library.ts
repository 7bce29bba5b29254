import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { open, readdir, readFile, stat } from 'node:fs/promises';
import { readFileSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { closestName } from '#shared/core/closest-name';
import { AppError } from '#shared/core/errors';
import type { InputShape } from '#shared/core/input-shape';
import type { ModelManifest } from '../../core/model.ts';
import { withInputShape } from '../../core/model-shape.ts';
import { isSignedBy, parseSigningKey } from '../../core/model-signature.ts';
import { inspectOnnx, type OnnxSummary } from '../../core/onnx-inspector.ts';
import type { VerifiedModel } from '../../core/ports.ts';
import { parseManifest } from '../../model-manifest.ts';

export interface ModelLibraryOptions {
  /** Where manifests and model files are looked for, first match wins. Those that are not there are passed over. */
  readonly directories: readonly string[];
  /** Default 512 MiB: a detector for video is a tenth of that; what is larger is a mistake or an attack on memory. */
  readonly maxModelBytes?: number;
  /** File of an Ed25519 public key (PEM): a model without its signature is then refused. */
  readonly publicKeyFile?: string | undefined;
  /** Takes the place of the shape in the manifests of models that are asked for; one that has none to choose is then refused. */
  readonly inputShape?: InputShape | undefined;
}

export interface FoundModel {
  readonly manifestPath: string;
  readonly manifest: ModelManifest;
  /** What was read and parsed: a signature is checked against this, not against what the file holds a moment later. */
  readonly manifestText: string;
  /** Null where the manifest is here and the file is not. */
  readonly modelPath: string | null;
}

/** A manifest that was found and cannot be used, with the reason. */
export interface UnusableModel {
  readonly manifestPath: string;
  readonly error: AppError;
}

export interface LoadedModel extends VerifiedModel, OnnxSummary {
  readonly manifestPath: string;
  readonly manifestText: string;
  readonly modelPath: string;
}

export interface ModelLibrary {
  readonly directories: readonly string[];
  list(): Promise<readonly (FoundModel | UnusableModel)[]>;
  /** By path of a manifest, path of an ONNX file, NAME (of several versions the last) or NAME@VERSION. Throws SIGHTLINE_MODEL_NOT_FOUND or what is wrong with the manifest. */
  find(nameOrPath: string): Promise<FoundModel>;
  /** Finds it, reads the file once, and checks size, sha256 and content. */
  load(nameOrPath: string): Promise<LoadedModel>;
}

const maxManifestBytes = 1024 * 1024;
/** Its sha256 takes about a millisecond. */
const chunkBytes = 1024 * 1024;
export const defaultMaxModelBytes = 512 * 1024 * 1024;

export function createModelLibrary(options: ModelLibraryOptions): ModelLibrary {
  const directories = [...new Set(options.directories.map((directory) => resolve(directory)))];
  const maxModelBytes = options.maxModelBytes ?? defaultMaxModelBytes;

  async function readManifest(manifestPath: string): Promise<FoundModel> {
    const folders = [dirname(resolve(manifestPath)), ...directories];
    const manifestText = await readSmallText(manifestPath);
    const source = `manifest ${basename(manifestPath)}`;
    const manifest = parseManifest(manifestText, source, (name) => readLabels(folders, name));
    return {
      manifestPath,
      manifestText,
      manifest,
      modelPath: await firstFile(folders.map((folder) => join(folder, manifest.file))),
    };
  }

  async function listIn(folders: readonly string[]): Promise<(FoundModel | UnusableModel)[]> {
    const found: (FoundModel | UnusableModel)[] = [];
    for (const folder of folders) {
      for (const manifestPath of await manifestsIn(folder)) {
        try {
          found.push(await readManifest(manifestPath));
        } catch (error) {
          if (!(error instanceof AppError)) throw error;
          found.push({ manifestPath, error });
        }
      }
    }
    return found;
  }

  /** A bare ONNX file is known by its sha256: a manifest that names it may lie beside it or in any model directory. */
  async function findByFile(modelPath: string): Promise<FoundModel> {
    if ((await firstFile([modelPath])) === null) throw notFound(`there is no model file ${modelPath}`);
    const usable = (await listIn([dirname(resolve(modelPath)), ...directories])).filter((each) => 'manifest' in each);
    const digest = await digestOf(modelPath);
    const match =
      usable.find((each) => each.manifest.sha256 === digest) ??
      // Not that file, but one of that name is described: the digest check says what is wrong better than "no manifest" would.
      usable.find((each) => each.manifest.file === basename(modelPath));
    if (match !== undefined) return { ...match, modelPath };
    throw notFound(
      `no manifest describes ${modelPath} (sha256 ${digest})`,
      'Run `sightline models add` on it, or put a manifest beside it; models/manifest.schema.json describes the fields.',
    );
  }

  async function findByName(name: string): Promise<FoundModel> {
    const [wanted = '', version] = name.split('@').map(plainName);
    const all = await listIn(directories);
    const named = all.filter((each) =>
      'manifest' in each
        ? plainName(each.manifest.name) === wanted &&
          (version === undefined || plainName(each.manifest.version) === version)
        : stem(each.manifestPath) === wanted,
    );
    const match = named.find((each) => 'manifest' in each && each.modelPath !== null) ?? named[0];
    if (match === undefined) {
      const close = closestName(
        wanted,
        all.map((each) => ('manifest' in each ? each.manifest.name : stem(each.manifestPath))),
      );
      const meant = close === undefined ? '' : `; ${close} perhaps`;
      throw notFound(`there is no model named '${name}' in ${directories.join(', ')}${meant}`);
    }
    if ('error' in match) throw match.error;
    return match;
  }

  async function find(nameOrPath: string): Promise<FoundModel> {
    const found = await findAnywhere(nameOrPath);
    return { ...found, manifest: withInputShape(found.manifest, options.inputShape) };
  }

  function findAnywhere(nameOrPath: string): Promise<FoundModel> {
    if (/\.ya?ml$/i.test(nameOrPath)) return readManifest(nameOrPath);
    if (/\.onnx$/i.test(nameOrPath)) return findByFile(nameOrPath);
    return findByName(nameOrPath);
  }

  /** Throws SIGHTLINE_MODEL_UNSIGNED and SIGHTLINE_MODEL_SIGNATURE_INVALID where a key is set. */
  async function checkSignature({ manifest, manifestPath, manifestText }: FoundModel): Promise<void> {
    const { publicKeyFile } = options;
    if (publicKeyFile === undefined) return;
    const pem = await readKey(publicKeyFile);
    const publicKey = parseSigningKey(pem, 'public', publicKeyFile);
    const signature = await readFile(signaturePath(manifestPath), 'utf8').catch(() => undefined);
    if (signature === undefined) throw new AppError('SIGHTLINE_MODEL_UNSIGNED', `model ${manifest.name} is not signed`);
    if (isSignedBy({ manifestText, labels: manifest.labels }, signature, publicKey)) return;
    throw new AppError(
      'SIGHTLINE_MODEL_SIGNATURE_INVALID',
      `the signature of model ${manifest.name} is not one of its manifest by the key in ${publicKeyFile}`,
    );
  }

  return {
    directories,
    list: () => listIn(directories),
    find,
    async load(nameOrPath) {
      const found = await find(nameOrPath);
      const { manifest, manifestPath, manifestText, modelPath } = found;
      if (modelPath === null) {
        throw notFound(
          `model ${manifest.name}: its file ${manifest.file} is neither beside ${manifestPath} nor in ${directories.join(', ')}`,
          howToGet(manifest, directories[0]),
        );
      }
      await checkSignature(found);
      const sum = createHash('sha256');
      const bytes = await readWhole(modelPath, maxModelBytes, (chunk) => sum.update(chunk));
      const digest = sum.digest('hex');
      if (digest !== manifest.sha256) {
        throw new AppError(
          'SIGHTLINE_MODEL_DIGEST_MISMATCH',
          `model ${manifest.name}: ${modelPath} has sha256 ${digest}, its manifest says ${manifest.sha256}`,
        );
      }
      return { manifest, manifestPath, manifestText, modelPath, bytes, digest, ...inspectOnnx(bytes) };
    },
  };
}

/** Where the signature of a manifest lies. */
export function signaturePath(manifestPath: string): string {
  return `${manifestPath}.sig`;
}

async function readKey(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (cause) {
    throw new AppError('SIGHTLINE_CONFIG_INVALID', `the key file ${file} cannot be read`, { cause });
  }
}

async function readSmallText(path: string): Promise<string> {
  const { size } = await statFile(path);
  if (size > maxManifestBytes)
    throw new AppError('SIGHTLINE_MODEL_MANIFEST_INVALID', `${path} is larger than ${maxManifestBytes} bytes`);
  return readFile(path, 'utf8');
}

function readLabels(folders: readonly string[], name: string): readonly string[] {
  for (const folder of folders) {
    let text: string;
    try {
      text = readFileSync(join(folder, name), 'utf8');
    } catch {
      continue;
    }
    return text
      .split(/\r?\n/)
      .map((line) => line.trim())
      .filter((line) => line !== '');
  }
  throw new AppError('SIGHTLINE_MODEL_NOT_FOUND', `the labels file ${name} is in none of ${folders.join(', ')}`);
}

/** `onChunk` sees the bytes as they come. A model is also loaded while others work: summing it up at once would hold up their frames. */
export async function readWhole(
  path: string,
  maxBytes: number,
  onChunk: (chunk: Uint8Array) => void = () => undefined,
): Promise<Uint8Array<ArrayBuffer>> {
  const { size } = await statFile(path);
  if (size > maxBytes)
    throw new AppError('SIGHTLINE_MODEL_TOO_LARGE', `${path} has ${size} bytes, the limit is ${maxBytes}`);
  const file = await open(path, 'r');
  try {
    // Into memory of the size that was checked: a file that grows in between is cut off, and then its digest does not match.
    const bytes = new Uint8Array(size);
    for (let at = 0; at < size;) {
      const { bytesRead } = await file.read(bytes, at, Math.min(chunkBytes, size - at), at);
      if (bytesRead === 0) break;
      onChunk(bytes.subarray(at, at + bytesRead));
      at += bytesRead;
    }
    return bytes;
  } finally {
    await file.close();
  }
}

async function statFile(path: string): Promise<{ readonly size: number }> {
  try {
    const facts = await stat(path);
    if (facts.isFile()) return facts;
  } catch (error) {
    throw new AppError('SIGHTLINE_MODEL_NOT_FOUND', `cannot read ${path}`, { cause: error });
  }
  throw notFound(`${path} is not a file`);
}

async function digestOf(path: string): Promise<string> {
  const sum = createHash('sha256');
  for await (const chunk of createReadStream(path)) sum.update(chunk as Buffer); // a stream without encoding gives buffers
  return sum.digest('hex');
}

async function firstFile(paths: readonly string[]): Promise<string | null> {
  for (const path of paths) {
    const isFile = await stat(path).then(
      (facts) => facts.isFile(),
      () => false,
    );
    if (isFile) return path;
  }
  return null;
}

/** Manifests of a folder, then those of NAME/VERSION below it, of each name the version that came last first. */
async function manifestsIn(folder: string): Promise<readonly string[]> {
  const manifests = await yamlFiles(folder);
  for (const name of await subfolders(folder)) {
    const versions: { readonly path: string; readonly changedMs: number }[] = [];
    for (const version of await subfolders(join(folder, name))) {
      for (const path of await yamlFiles(join(folder, name, version)))
        versions.push({ path, changedMs: (await stat(path)).mtimeMs });
    }
    versions.sort((a, b) => b.changedMs - a.changedMs);
    manifests.push(...versions.map(({ path }) => path));
  }
  return manifests;
}

async function yamlFiles(folder: string): Promise<string[]> {
  const names = await readdir(folder).catch(() => []);
  return names
    .filter((name) => /\.ya?ml$/i.test(name))
    .sort()
    .map((name) => join(folder, name));
}

async function subfolders(folder: string): Promise<readonly string[]> {
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => []);
  return entries
    .filter((entry) => entry.isDirectory() && /^[a-z0-9]/i.test(entry.name))
    .map((entry) => entry.name)
    .sort();
}

/** yolox-nano, YOLOX_NANO and yolox_nano are one name: nobody should have to remember which. */
function plainName(name: string): string {
  return name.toLowerCase().replaceAll('_', '-');
}

function stem(path: string): string {
  return plainName(basename(path).replace(/\.ya?ml$/i, ''));
}

function notFound(message: string, action?: string): AppError {
  return new AppError('SIGHTLINE_MODEL_NOT_FOUND', message, action === undefined ? {} : { action });
}

/** The command where it can be pasted without a thought; a manifest that somebody else wrote may hold anything. */
function howToGet({ source, file }: Pick<ModelManifest, 'source' | 'file'>, directory: string | undefined): string {
  const isPlain = /^https:\/\/[\w.~/%+-]+$/.test(source) && /^[\w.-]+$/.test(file);
  if (!isPlain || directory === undefined) return `Get it from ${source} and put it into one of these directories.`;
  return `Run: curl -fL --create-dirs -o '${join(directory, file)}' ${source}`;
}
