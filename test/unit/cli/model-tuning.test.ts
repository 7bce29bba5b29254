import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { createFrameBufferPool } from '#shared/core/frame-buffer-pool';
import { chooseSetting } from '../../../cli/models/bench-choice.ts';
import { createEngineMaker } from '../../../cli/models/engine-maker.ts';
import type { BenchRow } from '../../../cli/models/model-bench.ts';
import { readModelTuning, writeModelTuning } from '../../../cli/models/model-tuning.ts';
import { createModelLibrary } from '../../../services/inference/adapters/model-files/model-library.ts';
import { createLogKeeper, machineClock } from '../../support/inference-doubles.ts';
import { writeTinyModel } from '../../support/tiny-model.ts';

function row(threads: number, framesPerSecond: number, spread: number, batch = 1): BenchRow {
  return {
    ...{ threads, batch, provider: 'cpu', cpu_ms_per_frame: 9, run_p50_ms: 9, run_p99_ms: 12, rss_mb: 150 },
    frames_per_s: framesPerSecond,
    frames_per_s_range: [framesPerSecond - spread, framesPerSecond + spread],
  };
}

const usual = { threads: 1, provider: 'cpu' } as const;

describe('the setting that a bench proposes', () => {
  test('is the fastest one where even its worst round beats the best of the usual', () => {
    const choice = chooseSetting([row(1, 100, 5), row(2, 180, 10), row(3, 170, 10)], usual);
    expect(choice).toMatchObject({ kind: 'better', row: { threads: 2 } });
    expect(choice.kind === 'better' && choice.gain).toBeCloseTo(0.8);
  });

  test.each([
    ['rounds that differ by more than the gain', [row(1, 100, 20), row(2, 120, 10)]],
    ['a gain that is not worth a setting', [row(1, 100, 1), row(2, 104, 1)]],
    ['the usual being the fastest', [row(1, 100, 1), row(2, 90, 1)]],
    ['the usual not being measured', [row(2, 180, 1), row(3, 190, 1)]],
    ['a gain by batches only, which the pipeline does not make', [row(1, 100, 1), row(1, 200, 1, 4)]],
  ])('is none with %s', (_, rows) => {
    expect(chooseSetting(rows, usual)).toMatchObject({ kind: 'within-noise' });
  });
});

async function stateFolder(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'sightline-tuning-'));
  onTestFinished(() => rm(directory, { recursive: true }));
  return directory;
}

const found = { threads: 99, provider: 'cpu', model: 'tiny@1', frames_per_s: 90 } as const;

test('what was found is kept by the file of the model, beside that of others', async () => {
  const stateDir = await stateFolder();
  await writeModelTuning(stateDir, 'a', found);
  await writeModelTuning(stateDir, 'b', { ...found, threads: 2 });
  expect([readModelTuning(stateDir, 'a'), readModelTuning(stateDir, 'b'), readModelTuning(stateDir, 'c')]).toEqual([
    { threads: 99, provider: 'cpu' },
    { threads: 2, provider: 'cpu' },
    undefined,
  ]);
});

test('what another machine found, or nobody can read, is passed over', async () => {
  const stateDir = await stateFolder();
  const file = await writeModelTuning(stateDir, 'a', found);
  await writeFile(file, (await readFile(file, 'utf8')).replace(/"machine": ".*"/, '"machine": "another x 64"'));
  expect(readModelTuning(stateDir, 'a')).toBeUndefined();
  await writeFile(file, '{');
  expect(readModelTuning(stateDir, 'a')).toBeUndefined();
});

test('runs and services take what was found where their settings do not say it', async () => {
  const stateDir = await stateFolder();
  const model = await createModelLibrary({ directories: [stateDir] }).load(await writeTinyModel(stateDir));
  await writeModelTuning(stateDir, model.digest, found);
  const workersWith = (settings: { readonly threads?: number; readonly provider?: 'cuda' }): number =>
    createEngineMaker({
      ...{ settings: { thresholds: {}, ...settings }, stateDir, pool: createFrameBufferPool({ maxBytes: 1 }) },
      ...{ clock: machineClock, logger: createLogKeeper() },
    })(model).workers;
  expect([workersWith({}), workersWith({ threads: 5 }), workersWith({ threads: 2, provider: 'cuda' })]).toEqual([
    99, 5, 2,
  ]);
  expect(workersWith({ provider: 'cuda' })).not.toBe(99);
});

test('an accelerator runs a model that trims in its own shape, unless it is told to', async () => {
  const stateDir = await stateFolder();
  const path = await writeTinyModel(stateDir);
  await writeFile(path, (await readFile(path, 'utf8')).replace('pad_value: 114 }', 'pad_value: 114, shape: trim }'));
  const shapeOn = async (provider: 'cpu' | 'cuda', inputShape?: 'trim') => {
    const library = createModelLibrary({ directories: [stateDir], inputShape });
    const { manifest } = createEngineMaker({
      ...{ settings: { thresholds: {}, provider, input_shape: inputShape }, stateDir },
      ...{ pool: createFrameBufferPool({ maxBytes: 1 }), clock: machineClock, logger: createLogKeeper() },
    })(await library.load(path));
    return manifest.input.resize;
  };
  expect(await shapeOn('cpu')).toMatchObject({ shape: 'trim' });
  expect(await shapeOn('cuda')).toMatchObject({ shape: 'fixed' });
  expect(await shapeOn('cuda', 'trim')).toMatchObject({ shape: 'trim' });
});
