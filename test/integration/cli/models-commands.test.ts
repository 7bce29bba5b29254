import { execFile } from 'node:child_process';
import { appendFile, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeEach, expect, test } from 'vitest';
import { writeTinyModel } from '../../support/tiny-model.ts';

const command = join(import.meta.dirname, '../../../cli/bin.mjs');
let directory = '';

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'sightline-models-'));
  await writeTinyModel(directory);
  return () => rm(directory, { recursive: true });
});

interface Outcome {
  readonly exitCode: number;
  readonly stdout: string;
}

function sightline(...args: readonly string[]): Promise<Outcome> {
  return new Promise((resolve) => {
    const env = { PATH: process.env['PATH'], HOME: directory, SIGHTLINE_MODELS_DIR: directory };
    const child = execFile(process.execPath, [command, ...args], { env, timeout: 50_000 }, (_, stdout) => {
      resolve({ exitCode: child.exitCode ?? -1, stdout });
    });
  });
}

test('lists the models of the directories with where each file lies', async () => {
  const { exitCode, stdout } = await sightline('models', 'list', '--json');
  expect(exitCode).toBe(0);
  expect(JSON.parse(stdout)).toEqual(
    expect.arrayContaining([
      expect.objectContaining({ name: 'tiny', state: 'present', detail: join(directory, 'tiny.onnx') }),
      expect.objectContaining({ name: 'yolox-nano', state: 'file missing' }),
    ]),
  );
});

test('verifies a good model with exit code 0', async () => {
  const { exitCode, stdout } = await sightline('models', 'verify', 'tiny', '--json');
  expect(exitCode).toBe(0);
  expect(JSON.parse(stdout)).toMatchObject({ ok: true, name: 'tiny', opset: 11 });
});

test('says why a model does not pass, with exit code 1', async () => {
  await appendFile(join(directory, 'tiny.onnx'), 'x');
  const { exitCode, stdout } = await sightline('models', 'verify', join(directory, 'tiny.yaml'));
  expect(exitCode).toBe(1);
  expect(stdout).toContain('FAILED SIGHTLINE_MODEL_DIGEST_MISMATCH: model tiny');
});

test('times a model on one thread and more', async () => {
  const { exitCode, stdout } = await sightline('models', 'bench', 'tiny', '--runs', '5', '--rounds', '1', '--json');
  expect(exitCode).toBe(0);
  expect(JSON.parse(stdout)).toMatchObject({
    model: 'tiny',
    rows: expect.arrayContaining([expect.objectContaining({ threads: 1, batch: 1, provider: 'cpu' })]) as unknown,
  });
});

test('a model that is not there ends with the exit code of a missing thing', async () => {
  expect(await sightline('models', 'bench', 'absent')).toMatchObject({ exitCode: 4 });
});
