import { generateKeyPairSync } from 'node:crypto';
import { appendFile, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { createModelLibrary, signaturePath } from '../../../services/inference/adapters/model-files/model-library.ts';
import { isSignedBy, parseSigningKey, signModel } from '../../../services/inference/core/model-signature.ts';
import { writeTinyModel } from '../../support/tiny-model.ts';

function keyPair() {
  return generateKeyPairSync('ed25519', {
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  });
}

const { publicKey: publicPem, privateKey: privatePem } = keyPair();
const model = { manifestText: 'name: tiny\n', labels: ['person', 'car'] };

test('a signature holds for one manifest, its labels and one key', () => {
  const signature = signModel(model, parseSigningKey(privatePem, 'private', 'key'));
  const publicKey = parseSigningKey(publicPem, 'public', 'key');
  expect(isSignedBy(model, signature, publicKey)).toBe(true);
  expect(isSignedBy({ ...model, manifestText: 'name: tiny\n ' }, signature, publicKey)).toBe(false);
  expect(isSignedBy({ ...model, labels: ['person,car'] }, signature, publicKey)).toBe(false);
  expect(isSignedBy(model, signature, parseSigningKey(keyPair().publicKey, 'public', 'key'))).toBe(false);
  for (const broken of ['', 'x', `${signature}more`, signature.replace('-1', '-2'), signature.slice(0, -9)])
    expect(isSignedBy(model, broken, publicKey), broken).toBe(false);
});

test('a key of another kind, or none, is refused without being told', () => {
  const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 }).publicKey.export({ type: 'spki', format: 'pem' });
  for (const pem of [String(rsa), 'secret text'])
    expect(() => parseSigningKey(pem, 'public', 'keys/model.pub')).toThrow(/^keys\/model.pub does not hold an Ed25519/);
});

test('with a key a model is loaded only with its signature', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'sightline-signed-'));
  onTestFinished(() => rm(directory, { recursive: true }));
  const manifestPath = await writeTinyModel(directory);
  const publicKeyFile = join(directory, 'key.pub');
  await writeFile(publicKeyFile, publicPem);
  const load = () => createModelLibrary({ directories: [directory], publicKeyFile }).load('tiny');
  await expect(load()).rejects.toMatchObject({ code: 'SIGHTLINE_MODEL_UNSIGNED' });
  const signed = { manifestText: await readFile(manifestPath, 'utf8'), labels: ['person', 'car'] };
  await writeFile(signaturePath(manifestPath), signModel(signed, parseSigningKey(privatePem, 'private', 'key')));
  expect((await load()).manifest.name).toBe('tiny');
  await appendFile(manifestPath, '# a word more\n');
  await expect(load()).rejects.toMatchObject({ code: 'SIGHTLINE_MODEL_SIGNATURE_INVALID' });
  await writeFile(publicKeyFile, 'no key');
  await expect(load()).rejects.toMatchObject({ code: 'SIGHTLINE_CONFIG_INVALID' });
});
