import { execFileSync } from 'node:child_process';
import { createHash, generateKeyPairSync } from 'node:crypto';
import { mkdtemp, open, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeEach, describe, expect, test } from 'vitest';
import { createModelLibrary, signaturePath } from '../../../services/inference/adapters/model-files/model-library.ts';
import { tryModel } from '../../../services/inference/adapters/onnxruntime/model-trial.ts';
import { createWorkerThreadEngine } from '../../../services/inference/adapters/onnxruntime/worker-thread-engine.ts';
import { signModel } from '../../../services/inference/core/model-signature.ts';
import { createLogKeeper, machineClock } from '../../support/inference-doubles.ts';
import { writeTinyModel } from '../../support/tiny-model.ts';

let directory = '';
let manifest = '';

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'sightline-models-'));
  manifest = await writeTinyModel(directory);
  return () => rm(directory, { recursive: true });
});

/** All checks that stand between a file and its use, as `sightline models verify` runs them. */
async function verify(nameOrPath = manifest, maxModelBytes?: number): Promise<void> {
  const library = createModelLibrary({
    directories: [directory],
    ...(maxModelBytes === undefined ? {} : { maxModelBytes }),
  });
  const model = await library.load(nameOrPath);
  const engine = createWorkerThreadEngine({ model, clock: machineClock, logger: createLogKeeper(), workers: 1 });
  await engine.start();
  await engine.close();
}

async function changeManifest(from: RegExp, to: string): Promise<void> {
  const text = await readFile(manifest, 'utf8');
  if (!from.test(text)) throw new Error(`the manifest does not hold ${String(from)}`);
  await writeFile(manifest, text.replace(from, to));
}

/** Puts these bytes in the model's place, with a manifest that vouches for them. */
async function replaceModel(bytes: Uint8Array): Promise<void> {
  await writeFile(join(directory, 'tiny.onnx'), bytes);
  await changeManifest(/sha256: \w+/, `sha256: ${createHash('sha256').update(bytes).digest('hex')}`);
}

test('a good model passes, by manifest, by file and by name', async () => {
  await verify();
  await verify(join(directory, 'tiny.onnx'));
  await verify('TINY');
});

describe('a model is refused before it is used when', () => {
  test('its file was cut short', async () => {
    await truncate(join(directory, 'tiny.onnx'), 500);
    await expect(verify()).rejects.toMatchObject({ code: 'SIGHTLINE_MODEL_DIGEST_MISMATCH' });
  });

  test('one bit of its file is another', async () => {
    const bytes = await readFile(join(directory, 'tiny.onnx'));
    bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] ?? 0) ^ 1;
    await writeFile(join(directory, 'tiny.onnx'), bytes);
    await expect(verify()).rejects.toMatchObject({ code: 'SIGHTLINE_MODEL_DIGEST_MISMATCH' });
  });

  test('it is larger than the limit', async () => {
    await expect(verify(manifest, 1000)).rejects.toMatchObject({ code: 'SIGHTLINE_MODEL_TOO_LARGE' });
  });

  test.each([
    ['its file', 'tiny.onnx'],
    ['its manifest', 'tiny.yaml'],
  ])('%s is missing', async (_, name) => {
    await rm(join(directory, name));
    await expect(verify('tiny')).rejects.toMatchObject({ code: 'SIGHTLINE_MODEL_NOT_FOUND', exitCode: 4 });
  });

  test('the manifest vouches for a file that was cut short', async () => {
    const bytes = await readFile(join(directory, 'tiny.onnx'));
    await replaceModel(bytes.subarray(0, 500));
    await expect(verify()).rejects.toMatchObject({ code: 'SIGHTLINE_MODEL_CORRUPT' });
  });

  test('the manifest vouches for a file that is not ONNX', async () => {
    await replaceModel(Buffer.from('<html>404 not found</html>'));
    await expect(verify()).rejects.toMatchObject({ code: 'SIGHTLINE_MODEL_CORRUPT' });
  });

  test.each([
    ['the input has another size', /width_px: 64/, 'width_px: 96', /has 'images' float32 \[1,3,64,64\]/],
    ['the input has another name', /name: images/, 'name: image', /describes one input 'image'/],
    [
      'there are more classes than labels',
      /labels: \[person, car\]/,
      'labels: [person]',
      /expects one output \[1,84,6\]/,
    ],
    ['the family is another', /family: yolox\n/, 'family: picodet\n', /outputs\.reg_max is missing/],
    ['the strides are others', /strides: \[8, 16, 32\]/, 'strides: [8, 16]', /expects one output/],
  ])('%s', async (_, from, to, message) => {
    await changeManifest(from, to);
    await expect(verify()).rejects.toMatchObject({
      code: expect.stringMatching(/SIGHTLINE_MODEL_(SHAPE_MISMATCH|MANIFEST_INVALID)/) as string,
      message: expect.stringMatching(message) as string,
    });
  });

  // The runtime would read such a file from the working directory, whatever the model's own bytes were checked for.
  test('it keeps weights outside its file', async () => {
    const bytes = await readFile(join(directory, 'tiny.onnx'));
    const data = Buffer.from('externally kept');
    // Graph (field 7) with one initializer (5) whose external_data (13) says where it lies; protobuf joins it to the graph before it.
    const location = Buffer.concat([
      Buffer.from([0x0a, 8]),
      Buffer.from('location'),
      Buffer.from([0x12, data.length]),
      data,
    ]);
    const tensor = Buffer.concat([Buffer.from([0x6a, location.length]), location, Buffer.from([0x70, 1])]);
    const graph = Buffer.concat([Buffer.from([0x2a, tensor.length]), tensor]);
    await replaceModel(Buffer.concat([bytes, Buffer.from([0x3a, graph.length]), graph]));
    await expect(verify()).rejects.toMatchObject({ code: 'SIGHTLINE_MODEL_UNSAFE' });
  });
});

test('files that the manifest vouches for, but with any bit turned over, are refused or run: they never end the process', async () => {
  const good = await readFile(join(directory, 'tiny.onnx'));
  let refused = 0;
  // Every so many bytes of the part that describes the graph: the rest is weights, where any value is valid.
  for (let at = 0; at < 400; at += 23) {
    const bytes = Buffer.from(good);
    bytes[at] = (bytes[at] ?? 0) ^ 0x10;
    await replaceModel(bytes);
    const outcome = await verify().then(
      () => 'ran',
      (error: unknown) => error,
    );
    if (outcome === 'ran') continue;
    refused++;
    expect(outcome).toMatchObject({ name: 'AppError', code: expect.stringMatching(/^SIGHTLINE_MODEL_/) as string });
  }
  expect(refused).toBeGreaterThan(0);
});

test('a broken manifest is listed with its reason beside the good ones', async () => {
  await writeFile(join(directory, 'broken.yaml'), 'family: yolox\n');
  const found = await createModelLibrary({ directories: [directory, join(directory, 'absent')] }).list();
  expect(found.map((each) => ('error' in each ? each.error.code : each.manifest.name))).toEqual([
    'SIGHTLINE_MODEL_MANIFEST_INVALID',
    'tiny',
  ]);
});

describe('a trial in a process of its own ends', () => {
  async function trial(limits: Parameters<typeof tryModel>[2]): Promise<unknown> {
    return tryModel(await createModelLibrary({ directories: [directory] }).load(manifest), null, limits);
  }

  test('a run that would go on for minutes', async () => {
    manifest = await writeTinyModel(directory, { burden: 20_000 });
    await expect(trial({ timeoutMs: 1500 })).rejects.toMatchObject({
      code: 'SIGHTLINE_MODEL_DRY_RUN_FAILED',
      message: expect.stringContaining('within 1.5 s') as string,
    });
  });

  test('a model that takes more memory than it may', async () => {
    manifest = await writeTinyModel(directory, { burden: 20_000 });
    await expect(trial({ maxMemoryBytes: 1024 ** 2 })).rejects.toMatchObject({
      code: 'SIGHTLINE_MODEL_DRY_RUN_FAILED',
      message: expect.stringContaining('1 MiB') as string,
    });
  });

  test('with the reason, where the model is no good', async () => {
    await changeManifest(/width_px: 64/, 'width_px: 96');
    await expect(trial({})).rejects.toMatchObject({ code: 'SIGHTLINE_MODEL_SHAPE_MISMATCH' });
  });
});

test('a manifest that becomes another while its signature is read is not run by that signature', async () => {
  const { publicKey, privateKey } = generateKeyPairSync('ed25519');
  const publicKeyFile = join(directory, 'key.pub');
  await writeFile(publicKeyFile, publicKey.export({ type: 'spki', format: 'pem' }));
  const honest = await readFile(manifest, 'utf8');
  await changeManifest(/score: [\d.]+/, 'score: 0.01');
  // A pipe: whoever reads the signature waits until it is written.
  execFileSync('mkfifo', [signaturePath(manifest)]);
  const library = createModelLibrary({ directories: [directory], publicKeyFile });
  const loading = expect(library.load(manifest)).rejects.toMatchObject({ code: 'SIGHTLINE_MODEL_SIGNATURE_INVALID' });
  const pipe = await open(signaturePath(manifest), 'w');
  const { manifest: described } = await createModelLibrary({ directories: [directory] }).load(manifest);
  await writeFile(manifest, honest);
  await pipe.writeFile(signModel({ manifestText: honest, labels: described.labels }, privateKey));
  await pipe.close();
  await loading;
});
