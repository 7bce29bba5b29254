import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { defaultStateDirectory } from '../../cli/model-directories.ts';

/**
 * A Python with PyTorch: the one that SIGHTLINE_PYTHON names, or the one that `models distil` installed here. Undefined, with one line that says so, where
 * there is none: installing it takes minutes and gigabytes, which no test run should.
 */
export function trainingPython(): string | undefined {
  const named = process.env['SIGHTLINE_PYTHON'];
  if (named !== undefined && named !== '') return named;
  const directory = join(defaultStateDirectory(process.env), 'python-tools');
  const environments = existsSync(directory) ? readdirSync(directory).map((name) => join(directory, name)) : [];
  const found = environments.find((environment) => {
    const libraries = join(environment, 'lib');
    return (
      existsSync(join(environment, 'complete')) &&
      readdirSync(libraries).some((version) => existsSync(join(libraries, version, 'site-packages/torch')))
    );
  });
  if (found !== undefined) return join(found, 'bin/python');
  process.stderr.write('no Python with PyTorch here (SIGHTLINE_PYTHON names one): what trains with it is skipped\n');
  return undefined;
}
