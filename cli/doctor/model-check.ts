import { AppError } from '#shared/core/errors';

import { createModelLibrary } from '../../services/inference/adapters/model-files/model-library.ts';
import { modelDirectories } from '../model-directories.ts';
import { chooseModel } from '../models/chosen-model.ts';
import type { RunSettings } from '../run/run-settings.ts';
import type { DoctorRow } from './checks.ts';

/** Whether the model of the settings is here and is the file that its manifest says; it is not loaded into the runtime. */
export async function checkModel(
  settings: Pick<RunSettings, 'model' | 'models_dir' | 'model_key_file' | 'state_dir'>,
): Promise<DoctorRow> {
  const check = 'model';
  try {
    const library = createModelLibrary({
      directories: modelDirectories({ modelsDir: settings.models_dir, stateDir: settings.state_dir }, process.env),
      publicKeyFile: settings.model_key_file,
    });
    const { nameOrPath } = await chooseModel(library, settings.model);
    const { manifest, modelPath } = await library.load(nameOrPath);
    return {
      check,
      state: 'ok',
      found: `${manifest.name} ${manifest.version}, sha256 as its manifest says (${modelPath})`,
    };
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    return { check, state: 'missing', found: error.message, mend: error.action };
  }
}
