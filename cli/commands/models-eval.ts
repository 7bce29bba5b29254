import { Option, type Command } from 'commander';
import { inputShapes, type InputShape } from '#shared/core/input-shape';
import { createModelLibrary } from '../../services/inference/adapters/model-files/model-library.ts';
import { modelDirectories, modelKeyFile } from '../model-directories.ts';
import { evalModel } from '../models/eval-model.ts';
import { silentLogger } from '../models/silent-logger.ts';
import { textTable } from '../results/text-table.ts';
import { share } from '../option-values.ts';

interface EvalCommandOptions {
  readonly model: string;
  readonly images: string;
  readonly annotations: string;
  readonly scoreFloor: number;
  readonly nmsIou?: number;
  readonly inputShape?: InputShape;
  readonly modelsDir?: string;
  readonly json?: true;
}

/** `sightline models eval`. */
export function registerModelsEval(models: Command): void {
  models
    .command('eval')
    .description('accuracy of a model by class on labelled pictures, as COCO measures it')
    .requiredOption('--model <model>', 'name of a model, path of its manifest, or path of its .onnx file')
    .requiredOption('--images <directory>', 'the pictures')
    .requiredOption('--annotations <file>', "their labels in COCO's JSON")
    .option('--score-floor <share>', 'boxes below it are not looked at', share, 0.01)
    .option('--nms-iou <share>', "overlap of two boxes that are one object (default: the manifest's)", share)
    .addOption(
      new Option('--input-shape <shape>', "shape that pictures are run in (default: the manifest's)").choices(
        inputShapes,
      ),
    )
    .option('--models-dir <directory>', 'look here first')
    .option('--json', 'print one JSON object')
    .action((options: EvalCommandOptions) => evaluate(options));
}

async function evaluate(options: EvalCommandOptions): Promise<void> {
  const directories = modelDirectories({ modelsDir: options.modelsDir }, process.env);
  const library = createModelLibrary({
    ...{ directories, publicKeyFile: modelKeyFile(process.env), inputShape: options.inputShape },
  });
  const model = await library.load(options.model);
  const isShown = process.stderr.isTTY && options.json !== true;
  const accuracy = await evalModel({
    model,
    imagesDirectory: options.images,
    annotationsFile: options.annotations,
    scoreFloor: options.scoreFloor,
    ...(options.nmsIou === undefined ? {} : { nmsIou: options.nmsIou }),
    logger: silentLogger,
    onProgress: (done, total) => {
      if (isShown) process.stderr.write(`\r${done} of ${total} pictures${done === total ? '\n' : ''}`);
    },
  });
  const rows = [...accuracy].map(([name, { ap, ap50 }]) => ({ name, ap, ap50 }));
  if (options.json === true) {
    const column = (key: 'ap' | 'ap50') => Object.fromEntries(rows.map((row) => [row.name, row[key]]));
    const report = { model: model.manifest.name, ap: column('ap'), ap50: column('ap50') };
    process.stdout.write(`${JSON.stringify(report)}\n`);
    return;
  }
  const mean = (key: 'ap' | 'ap50'): number => rows.reduce((sum, row) => sum + row[key], 0) / rows.length;
  const all = [...rows, { name: `mean of ${rows.length}`, ap: mean('ap'), ap50: mean('ap50') }];
  process.stdout.write(
    textTable(
      [
        { title: 'class', align: 'left', text: (row) => row.name },
        { title: 'AP', text: (row) => row.ap.toFixed(3) },
        { title: 'AP50', text: (row) => row.ap50.toFixed(3) },
      ],
      all,
    ),
  );
}
