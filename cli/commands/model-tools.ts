import type { Command } from 'commander';
import { defaultStateDirectory } from '../model-directories.ts';
import { runPythonTool } from '../models/python-tool.ts';

/** Commands whose work is done by Python; their options are the tool's own, `--help` too. */
const tools = {
  quantise: 'int8 form of a model, kept only if it is as good and faster on this machine (--help: its options)',
  convert: 'ONNX to ONNX: newer opset, half precision, batch size, normalisation in the graph; outputs are compared',
} as const;

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
        process.exitCode = await runPythonTool({ stateDir: defaultStateDirectory(process.env) }, name, options);
      });
  }
}
