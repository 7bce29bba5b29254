import { copyFile, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import { chooseModel } from '../../../cli/models/chosen-model.ts';
import { createModelLibrary } from '../../../services/inference/adapters/model-files/model-library.ts';

const shipped = join(import.meta.dirname, '../../../models');
let directory = '';

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'sightline-chosen-model-'));
  await copyFile(join(shipped, 'yolox-nano.yaml'), join(directory, 'yolox-nano.yaml'));
  return () => rm(directory, { recursive: true });
});

const library = () => createModelLibrary({ directories: [directory] });

describe('the model of a run', () => {
  it('is the one that the setting names', async () => {
    expect(await chooseModel(library(), 'night.yaml')).toEqual({ nameOrPath: 'night.yaml' });
  });

  it('is the bundled one where nobody named one and yolox-nano is not here, and that is said', async () => {
    const chosen = await chooseModel(library(), 'auto');
    expect(chosen.nameOrPath).toBe('sightline-nano');
    expect(chosen.reason).toContain('yolox-nano is not on this machine');
  });

  it('is yolox-nano where nobody named one and its file is here, good or not', async () => {
    await writeFile(join(directory, 'yolox_nano.onnx'), 'not a model');
    expect(await chooseModel(library(), 'auto')).toEqual({ nameOrPath: 'yolox-nano' });
  });
});
