import { dirname } from 'node:path';
import { createModelLibrary, type ModelLibrary } from '../../services/inference/adapters/model-files/model-library.ts';
import { testDataPath } from './test-data.ts';

/** Manifests of test/fixtures/models with the weights of the shared test data; undefined where these are not on this machine. */
export function testModelLibrary(): ModelLibrary | undefined {
  const weights = testDataPath('models/yolox_nano.onnx');
  if (weights === undefined) return undefined;
  return createModelLibrary({ directories: [`${import.meta.dirname}/../fixtures/models`, dirname(weights)] });
}
