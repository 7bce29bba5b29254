import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Command } from 'commander';
import { AppError } from '#shared/core/errors';
import { stateDirectory } from '../model-directories.ts';
import { pythonPackages, runPythonTool } from '../models/python-tool.ts';

/** What each kind of file is read or written with, besides the tools' own packages; each is large, and none reads what another writes. */
const converters = [
  { packages: pythonPackages.training, handles: (file: string) => /\.(?:pt|pth|torchscript)$/i.test(file) },
  {
    packages: pythonPackages.tensorflow,
    handles: (file: string) => /\.tflite$/i.test(file) || existsSync(join(file, 'saved_model.pb')),
  },
  { packages: pythonPackages.coreml, handles: (file: string) => /\.mlpackage\/?$/i.test(file) },
] as const;

/** `sightline models convert`: its work is done by Python, and its options are the tool's own, `--help` too. */
export function registerModelsConvert(models: Command): void {
  models
    .command('convert')
    .description(
      'ONNX, TorchScript, TFLite or TensorFlow to ONNX, TFLite or Core ML: opset, half precision, batch, normalisation and suppression in the graph; outputs are compared',
    )
    .helpOption(false)
    .allowUnknownOption()
    .argument('[options...]')
    .action(async (options: readonly string[]) => {
      const named = process.env['SIGHTLINE_PYTHON'];
      const source = {
        stateDir: stateDirectory(undefined, process.env),
        python: named === undefined || named === '' ? undefined : named,
      };
      process.exitCode = await runPythonTool(source, packagesFor(options), 'convert', options);
    });
}

function packagesFor(options: readonly string[]): Parameters<typeof runPythonTool>[1] {
  const needed = converters.filter(({ handles }) => options.some((option) => handles(option)));
  if (needed.length > 1)
    throw new AppError('SIGHTLINE_USAGE', 'no converter reads the one and writes the other', {
      action: 'Convert in two steps: first to a file that ends in .onnx, then from that one.',
    });
  return needed[0]?.packages ?? pythonPackages.tools;
}
