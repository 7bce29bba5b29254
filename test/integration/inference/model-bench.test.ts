import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { benchModel } from '../../../cli/models/model-bench.ts';
import { createModelLibrary } from '../../../services/inference/adapters/model-files/model-library.ts';
import { writeTinyModel } from '../../support/tiny-model.ts';

test('measures each setting that can be run, and says why the others cannot', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'sightline-bench-'));
  onTestFinished(() => rm(directory, { recursive: true }));
  const model = await createModelLibrary({ directories: [directory] }).load(await writeTinyModel(directory));
  const plan = { threads: [2], batches: [1, 4], providers: ['cpu', 'dml'], runs: 3, rounds: 1 } as const;
  const rows = await benchModel(model, plan);
  expect(rows).toMatchObject([
    { threads: 2, batch: 1, provider: 'cpu', frames_per_s_range: [expect.any(Number), expect.any(Number)] },
    { batch: 4, provider: 'cpu', reason: 'the file takes 1 picture a run, not 4' },
    { batch: 1, provider: 'dml', reason: expect.stringContaining('[dml] backend not found') as string },
    { batch: 4, provider: 'dml', reason: expect.stringContaining('[dml] backend not found') as string },
  ]);
});
