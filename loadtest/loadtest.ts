/** `npm run loadtest`: see --help. */
import { mkdir, mkdtemp, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { differingOptions, figureLines, figureText, type FigureLine } from './load/load-figures.ts';
import { help, parseLoadOptions, type LoadOptions } from './load/load-options.ts';
import { reportPage } from './load/load-report-page.ts';
import { accountHolds, figuresOf, type LoadAccounting, type LoadFigures, type LoadRun } from './load/load-report.ts';
import { runLoad } from './load/run-load.ts';

/** What is read of the report of an earlier run. */
interface Baseline {
  readonly options: Partial<LoadOptions>;
  readonly figures: LoadFigures;
}

const exitCodes = { usage: 2, account: 1, regression: 3, stopped: 130 };

async function main(): Promise<number> {
  let options: LoadOptions | undefined;
  let baseline: Baseline | undefined;
  try {
    options = parseLoadOptions(process.argv.slice(2));
    // Read first, so that a wrong name costs no run.
    baseline = options?.baseline === undefined ? undefined : await readBaseline(options.baseline, options);
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n\n${help}`);
    return exitCodes.usage;
  }
  if (options === undefined) {
    process.stdout.write(help);
    return 0;
  }
  const folder = await mkdtemp(join(tmpdir(), 'sightline-load-'));
  try {
    const run = await runUntilStopped(options, folder);
    const directory = join(options.out, run.startedAt.replaceAll(/[:.]/g, '-'));
    const lines = figureLines(figuresOf(run), baseline?.figures, options.tolerance);
    await writeReport(directory, run, lines);
    for (const name of await readdir(folder))
      if (name.endsWith('.cpuprofile')) await rename(join(folder, name), join(directory, name));
    return tell(run, lines, options.tolerance, directory);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function readBaseline(file: string, options: LoadOptions): Promise<Baseline> {
  // Written by this program, as writeReport has it.
  const baseline = JSON.parse(await readFile(file, 'utf8')) as Baseline;
  const differing = differingOptions(options, baseline.options);
  if (differing.length > 0) throw new RangeError(`the baseline is of another load: ${differing.join(', ')} differ`);
  return baseline;
}

async function runUntilStopped(options: LoadOptions, folder: string): Promise<LoadRun> {
  const stopping = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM'] as const)
    process.once(name, () => stopping.abort(new Error(`stopped by ${name}`)));
  try {
    const progress = (text: string): boolean => process.stderr.write(`${text}\n`);
    return await runLoad(options, { folder, progress, signal: stopping.signal });
  } catch (error) {
    if (!stopping.signal.aborted) throw error;
    process.stderr.write(`${String(error)}; no report\n`);
    await rm(folder, { recursive: true, force: true });
    // What was under way is not waited for: everything it would need is gone.
    process.exit(exitCodes.stopped);
  }
}

async function writeReport(directory: string, run: LoadRun, lines: readonly FigureLine[]): Promise<void> {
  await mkdir(directory, { recursive: true });
  // Ages of single results are for the plots; the figures stand for them in the file that is kept.
  const samples = run.samples.map(({ agesMs, ...sample }) => ({ ...sample, ages: agesMs.length }));
  const report = { ...run, figures: figuresOf(run), comparison: lines, samples };
  await writeFile(join(directory, 'report.json'), `${JSON.stringify(report, null, 1)}\n`);
  await writeFile(join(directory, 'report.html'), reportPage(run, lines));
}

function tell(run: LoadRun, lines: readonly FigureLine[], tolerance: number, directory: string): number {
  for (const line of lines) {
    const before = line.baseline === undefined ? '' : figureText(line.baseline, line).padStart(14);
    const ratio = line.ratio === undefined ? '' : line.ratio.toFixed(2).padStart(8);
    const verdict = line.isRegression ? '  worse' : '';
    process.stdout.write(
      `${line.name.padEnd(54)} ${figureText(line.value, line).padStart(14)} ${before}${ratio}${verdict}\n`,
    );
  }
  const regressions = lines.filter(({ isRegression }) => isRegression);
  if (regressions.length > 0)
    process.stdout.write(
      `${String(regressions.length)} figures are worse than the baseline by more than ${String(tolerance * 100)} %\n`,
    );
  process.stdout.write(`${accountText(run.accounting)}${join(directory, 'report.html')}\n`);
  if (!accountHolds(run.accounting)) return exitCodes.account;
  return regressions.length > 0 ? exitCodes.regression : 0;
}

function accountText(accounting: LoadAccounting): string {
  const { framesSent, framesInResults, lost, repeated, reordered, newEpochs, violations } = accounting;
  const words = `${String(framesSent)} frames sent, ${String(framesInResults)} in results, ${String(lost)} lost, ${String(repeated)} repeated, ${String(reordered)} out of order, ${String(newEpochs)} new epochs`;
  return `accounting ${accountHolds(accounting) ? 'holds' : 'DOES NOT HOLD'}: ${words}\n${violations.map((line) => `${line}\n`).join('')}`;
}

process.exitCode = await main();
