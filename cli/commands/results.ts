import { InvalidArgumentError, type Command } from 'commander';
import { AppError } from '#shared/core/errors';
import { toJsonLine } from '../../services/results/core/json-line.ts';
import { createRunSummary } from '../../services/results/core/run-summary.ts';
import { createVerifyFold } from '../../services/results/core/verify.ts';
import {
  findResultsFiles,
  inWrittenOrder,
  readResults,
  type ResultsPart,
} from '../../services/results/results-reader.ts';
import { statsText, verifyText } from '../results/results-text.ts';

const filesHelp = 'results: .avro, .jsonl, a directory of them, or - for JSON lines on standard input';

/** `sightline results cat|verify|stats`. */
export function registerResultsCommands(program: Command): void {
  const results = program
    .command('results')
    .description('read results, prove that no frame is missing, and sum them up');

  results
    .command('cat')
    .description('print records as JSON lines')
    .argument('<file...>', filesHelp)
    .option('--camera <name>', 'only records of this camera')
    .option('--limit <n>', 'stop after this many records', wholeNumber)
    .action((inputs: string[], options: { camera?: string; limit?: number }) => cat(inputs, options));

  results
    .command('verify')
    .description('prove from the files alone that every frame is accounted for; exit code 1 where it does not hold')
    .argument('<file...>', filesHelp)
    .option('--json', 'print the report as one JSON object')
    .option('--strict', 'also fail on open ends: torn files, and epochs that no camera status closes')
    .option('--max-violations <n>', 'list at most this many violations', wholeNumber, 20)
    .action((inputs: string[], options: { json?: true; strict?: true; maxViolations: number }) =>
      verify(inputs, options),
    );

  results
    .command('stats')
    .description('frames by fate, objects by class, rates and latencies of each camera')
    .argument('<file...>', filesHelp)
    .option('--json', 'print one JSON object')
    .option('--camera <name>', 'only this camera')
    .action((inputs: string[], options: { json?: true; camera?: string }) => stats(inputs, options));
}

async function cat(inputs: readonly string[], options: { camera?: string; limit?: number }): Promise<void> {
  const { camera, limit = Infinity } = options;
  let left = limit;
  if (left === 0) return;
  for await (const part of readResults(await findResultsFiles(inputs, { withStatusesBeside: false }))) {
    if (part.kind === 'end') {
      complain(part);
      continue;
    }
    const lines = toLines(part, camera).slice(0, left);
    left -= lines.length;
    if (lines.length > 0 && !(await print(lines.join('')))) return;
    if (left === 0) return;
  }
}

function toLines(part: Extract<ResultsPart, { kind: 'records' }>, camera: string | undefined): string[] {
  if (part.schema === 'detection-frame') {
    const records = part.records.filter(({ header }) => camera === undefined || header.camera_id === camera);
    return records.map((record) => `${toJsonLine('detection_frame', record)}\n`);
  }
  const records = part.records.filter(({ camera_id }) => camera === undefined || camera_id === camera);
  return records.map((record) => `${toJsonLine('camera_status', record)}\n`);
}

async function verify(
  inputs: readonly string[],
  options: { json?: true; strict?: true; maxViolations: number },
): Promise<void> {
  const files = await inWrittenOrder(await findResultsFiles(inputs, { withStatusesBeside: true }));
  const fold = createVerifyFold({ maxListedViolations: options.maxViolations });
  for await (const part of readResults(files)) {
    if (part.kind === 'end') {
      if (part.ending.kind === 'complete') continue;
      const { atByte, reason } = part.ending;
      if (part.ending.kind === 'torn') fold.addOpenEnd({ file: part.file, at_byte: atByte, reason });
      else fold.addUnreadable(part.file, `${reason}, at byte ${atByte}; nothing after it was read`);
    } else if (part.schema === 'detection-frame') {
      for (const record of part.records) fold.addDetection(record, part.file);
    } else {
      for (const record of part.records) fold.addStatus(record);
    }
  }
  const report = fold.report();
  const isOpen = report.open_ends.length > 0 || report.cameras.some((camera) => camera.open_epochs > 0);
  await print(options.json === true ? `${JSON.stringify({ files, ...report })}\n` : verifyText(report, files.length));
  if (!report.holds || (options.strict === true && isOpen)) process.exitCode = 1;
}

async function stats(inputs: readonly string[], options: { json?: true; camera?: string }): Promise<void> {
  const files = await inWrittenOrder(await findResultsFiles(inputs, { withStatusesBeside: false }));
  const fold = createRunSummary();
  for await (const part of readResults(files)) {
    if (part.kind === 'end') {
      complain(part);
    } else if (part.schema === 'detection-frame') {
      for (const record of part.records) {
        if (options.camera === undefined || record.header.camera_id === options.camera) fold.add(record);
      }
    }
  }
  const summary = fold.summary();
  await print(options.json === true ? `${JSON.stringify({ files, ...summary })}\n` : statsText(summary));
}

/** A torn end is told and passed; behind damage nothing can be trusted, so that is an error. */
function complain(part: Extract<ResultsPart, { kind: 'end' }>): void {
  const { ending, file } = part;
  if (ending.kind === 'complete') return;
  const text = `${file}: ${ending.reason}, at byte ${ending.atByte}`;
  if (ending.kind === 'corrupt')
    throw new AppError('SIGHTLINE_RESULTS_UNREADABLE', `${text}; nothing after it was read`);
  process.stderr.write(`${text}: the writer was stopped by force or still runs; everything before it was read\n`);
}

let readerHasGone = false;

/** Writes to standard output; false when the reader has gone, which is how `| head` ends a long output. */
async function print(text: string): Promise<boolean> {
  const { stdout } = process;
  if (readerHasGone) return false;
  return new Promise((resolve) => {
    // A stream that fails says so twice: to the write and, where nobody listened, to the whole process.
    const onError = (): void => {
      readerHasGone = true;
    };
    stdout.once('error', onError);
    stdout.write(text, (error) => {
      if (error instanceof Error) {
        readerHasGone = true;
      } else {
        stdout.off('error', onError);
      }
      resolve(!readerHasGone);
    });
  });
}

function wholeNumber(text: string): number {
  const value = Number(text);
  if (!/^\d+$/.test(text) || !Number.isSafeInteger(value))
    throw new InvalidArgumentError('Give a whole number, 0 or above.');
  return value;
}
