import { readFile, writeFile } from 'node:fs/promises';
import type { Command } from 'commander';
import { AppError } from '#shared/core/errors';
import { createModelLibrary, signaturePath } from '../../services/inference/adapters/model-files/model-library.ts';
import { parseSigningKey, signModel } from '../../services/inference/core/model-signature.ts';
import { modelDirectories } from '../model-directories.ts';

interface SignOptions {
  readonly key: string;
  readonly modelsDir?: string;
  readonly json?: true;
}

/** `sightline models sign`. */
export function registerModelsSign(models: Command): void {
  models
    .command('sign')
    .description('check a model and put a signature beside its manifest, for machines that take no others')
    .argument('<model>', 'name of a model, path of its manifest, or path of its .onnx file')
    .requiredOption('--key <file>', 'Ed25519 private key: openssl genpkey -algorithm ed25519 -out FILE')
    .option('--models-dir <directory>', 'look here first')
    .option('--json', 'print one JSON object')
    .action((name: string, options: SignOptions) => sign(name, options));
}

async function sign(name: string, options: SignOptions): Promise<void> {
  const directories = modelDirectories({ modelsDir: options.modelsDir }, process.env);
  // Whole: a signature says of the file too that it is the one that is meant.
  const { manifest, manifestPath, manifestText } = await createModelLibrary({ directories }).load(name);
  const pem = await readFile(options.key, 'utf8').catch((cause: unknown) => {
    throw new AppError('SIGHTLINE_USAGE', `the key file ${options.key} cannot be read`, { cause });
  });
  const key = parseSigningKey(pem, 'private', options.key);
  const path = signaturePath(manifestPath);
  const signature = signModel({ manifestText, labels: manifest.labels }, key);
  await writeFile(path, signature).catch((cause: unknown) => {
    throw new AppError('SIGHTLINE_USAGE', `the signature ${path} cannot be written`, {
      cause,
      action: 'Copy manifest and file to a directory of your own, and name it with --models-dir.',
    });
  });
  const { name: signed, version } = manifest;
  process.stdout.write(
    options.json === true ? `${JSON.stringify({ name: signed, version, signature: path })}\n` : `signed: ${path}\n`,
  );
}
