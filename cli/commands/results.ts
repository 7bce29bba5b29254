import type { Command } from 'commander';
import { AppError } from '#shared/core/errors';
import { createRunSummary } from '../../services/results/core/run-summary.ts';
import { createVerifyFold } from '../../services/results/core/verify.ts';
import type { ResultsPart } from '../../services/results/results-reader.ts';
import type { TopicPart } from '../../services/results/topic-results.ts';
import type { ApiFlags } from '../api/api-address.ts';
import { withApi } from '../api/api-options.ts';
import { print } from '../results/output.ts';
import { jsonLines } from '../results/record-lines.ts';
import { openInput, type RangeOptions, type ResultsInput } from '../results/results-input.ts';
import { statsText, verifyText } from '../results/results-text.ts';
import { tail } from '../results/tail.ts';
import { parseMoment } from '../results/time-range.ts';
import { wholeNumber } from '../option-values.ts';

const inputsHelp = `results: .avro, .jsonl, a directory of them, - for JSON lines on standard input, or topics:
'kafka://BROKER[,BROKER]/?registry=http://HOST:PORT&prefix=sightline'`;

/** `sightline results cat|verify|stats|tail`. */
export function registerResultsCommands(program: Command): void {
  const results = program
    .command('results')
    .description('read results, prove that no frame is missing, and sum them up');

  withRange(results.command('cat').description('print records as JSON lines').argument('<input...>', inputsHelp))
    .option('--camera <name>', 'only records of this camera')
    .option('--limit <n>', 'stop after this many records', wholeNumber)
    .action((inputs: string[], options: RangeOptions & { camera?: string; limit?: number }) => cat(inputs, options));

  withRange(
    results
      .command('verify')
      .description('prove from the results alone that every frame is accounted for; exit code 1 where it does not hold')
      .argument('<input...>', inputsHelp),
  )
    .option('--json', 'print the report as one JSON object')
    .option('--strict', 'also fail on open ends: torn files, and epochs that no camera status closes')
    .option('--at-least-once', 'count records that came again (same message_id) instead of holding them against it')
    .option('--max-violations <n>', 'list at most this many violations', wholeNumber, 20)
    .action((inputs: string[], options: VerifyOptions) => verify(inputs, options));

  withRange(
    results
      .command('stats')
      .description('frames by fate, objects by class, rates and latencies of each camera')
      .argument('<input...>', inputsHelp),
  )
    .option('--json', 'print one JSON object')
    .option('--camera <name>', 'only this camera')
    .action((inputs: string[], options: RangeOptions & { json?: true; camera?: string }) => stats(inputs, options));

  withApi(results.command('tail'))
    .description('print results as they come from the API or to the topics, a line for each, until it is interrupted')
    .argument(
      '[kafka-url]',
      "'kafka://BROKER[,BROKER]/?registry=http://HOST:PORT&prefix=sightline'; without it: the API",
    )
    .option('--camera <name>', 'only records of this camera')
    .option('--class <name>', 'of the API: only frames with an object of this class')
    .option('--since <time>', 'of topics: written since then: 10m, 2h, or 2026-11-23T06:00:00Z', moment)
    .option('--json', 'print JSON lines')
    .action(tailTopicsOrApi);
}

interface TailOptions extends ApiFlags {
  readonly camera?: string;
  readonly class?: string;
  readonly since?: number;
  readonly json?: true;
}

async function tailTopicsOrApi(kafkaUrl: string | undefined, options: TailOptions): Promise<void> {
  if (kafkaUrl !== undefined) {
    if (options.url !== undefined || options.class !== undefined)
      throw new AppError('SIGHTLINE_USAGE', '--url and --class are for the API, and a kafka:// address was given');
    await tail(kafkaUrl, options);
    return;
  }
  if (options.since !== undefined)
    throw new AppError('SIGHTLINE_USAGE', '--since is for topics: the API tells what comes from now on');
  await (await import('../results/tail-api.ts')).tailApi(options);
}

interface VerifyOptions extends RangeOptions {
  readonly json?: true;
  readonly strict?: true;
  readonly atLeastOnce?: true;
  readonly maxViolations: number;
}

function withRange(command: Command): Command {
  return command
    .option('--since <time>', 'of topics: written since then: 10m, 2h, or 2026-11-23T06:00:00Z', moment)
    .option('--until <time>', 'of topics: written before then', moment);
}

async function cat(
  inputs: readonly string[],
  options: RangeOptions & { readonly camera?: string; readonly limit?: number },
): Promise<void> {
  let left = options.limit ?? Infinity;
  if (left === 0) return;
  for await (const part of partsOf(await openInput(inputs, options))) {
    if (part.kind !== 'records') {
      complain(part);
      continue;
    }
    const lines = jsonLines(part, options.camera).slice(0, left);
    left -= lines.length;
    if (lines.length > 0 && !(await print(lines.join('')))) return;
    if (left === 0) return;
  }
}

/** The parts; the input is closed when they end or nobody wants more. */
async function* partsOf(input: ResultsInput): AsyncGenerator<ResultsPart | TopicPart, void> {
  try {
    yield* input.parts();
  } finally {
    await input.close();
  }
}

async function verify(inputs: readonly string[], options: VerifyOptions): Promise<void> {
  const input = await openInput(inputs, { ...options, withStatusesBeside: true, inWrittenOrder: true });
  const fold = createVerifyFold({
    maxListedViolations: options.maxViolations,
    atLeastOnce: options.atLeastOnce === true,
    ...(input.excerpt === undefined ? {} : { excerpt: input.excerpt }),
  });
  for await (const part of partsOf(input)) {
    if (part.kind === 'undecodable') {
      fold.addUnreadable(part.file, `offset ${part.offset}: ${part.reason}`);
    } else if (part.kind === 'end') {
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
  const named = { [input.kind]: input.names };
  await print(options.json === true ? `${JSON.stringify({ ...named, ...report })}\n` : verifyText(report, input));
  if (!report.holds || (options.strict === true && isOpen)) process.exitCode = 1;
}

async function stats(
  inputs: readonly string[],
  options: RangeOptions & { readonly json?: true; readonly camera?: string },
): Promise<void> {
  const input = await openInput(inputs, { ...options, inWrittenOrder: true });
  const fold = createRunSummary();
  for await (const part of partsOf(input)) {
    if (part.kind !== 'records') {
      complain(part);
    } else if (part.schema === 'detection-frame') {
      for (const record of part.records) {
        if (options.camera === undefined || record.header.camera_id === options.camera) fold.add(record);
      }
    }
  }
  const summary = fold.summary();
  const named = { [input.kind]: input.names };
  await print(options.json === true ? `${JSON.stringify({ ...named, ...summary })}\n` : statsText(summary));
}

/**
 * A torn end is told and passed; behind damage in a file nothing can be trusted, so that is an error. A record of a topic stands for
 * itself: it is passed over, and the exit code says that something was.
 */
function complain(part: Exclude<ResultsPart | TopicPart, { kind: 'records' }>): void {
  if (part.kind === 'undecodable') {
    process.stderr.write(`${part.file}: passed over offset ${part.offset}: ${part.reason}\n`);
    process.exitCode = 1;
    return;
  }
  const { ending, file } = part;
  if (ending.kind === 'complete') return;
  const text = `${file}: ${ending.reason}, at byte ${ending.atByte}`;
  if (ending.kind === 'corrupt')
    throw new AppError('SIGHTLINE_RESULTS_UNREADABLE', `${text}; nothing after it was read`);
  process.stderr.write(`${text}: the writer was stopped by force or still runs; everything before it was read\n`);
}

function moment(text: string): number {
  return parseMoment(text, Date.now());
}
