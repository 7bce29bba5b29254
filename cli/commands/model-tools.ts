import type { Command } from 'commander';
import { defaultStateDirectory } from '../model-directories.ts';
import { pythonPackages, runPythonTool } from '../models/python-tool.ts';

/** Commands whose work is done by Python; their options are the tool's own, `--help` too. */
const tools = {
  quantise: 'int8 form of a model, kept only if it is as good and faster on this machine (--help: its options)',
  convert:
    'ONNX or TorchScript to ONNX: newer opset, half precision, batch size, normalisation and suppression in the graph; outputs are compared',
} as const;

/** What PyTorch writes is read with PyTorch, which is ten times what the other tools need. */
const torchFile = /\.(?:pt|pth|torchscript)$/i;

/** `sightline models quantise|convert`. */
export function registerModelTools(models: Command): void {
  for (const [name, description] of Object.entries(tools)) {
    models
      .command(name)
      .description(description)
      .helpOption(false)
      .allowUnknownOption()
      .argument('[options...]')
      .action(async (options: readonly string[]) => {
        const named = process.env['SIGHTLINE_PYTHON'];
        const source = {
          stateDir: defaultStateDirectory(process.env),
          python: named === undefined || named === '' ? undefined : named,
        };
        const isTorch = options.some((option) => torchFile.test(option));
        const packages = isTorch ? pythonPackages.training : pythonPackages.tools;
        process.exitCode = await runPythonTool(source, packages, name, options);
      });
  }
}
