/** `npm run loadtest`: see --help. */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { help, parseLoadOptions } from './load/load-options.ts';
import { reportPage } from './load/load-report-page.ts';
import { accountHolds, figureLines, figuresOf, type LoadFigures } from './load/load-report.ts';
import { runLoad } from './load/run-load.ts';

async function main(): Promise<number> {
  let options;
  try {
    options = parseLoadOptions(process.argv.slice(2));
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n\n${help}`);
    return 2;
  }
  if (options === undefined) {
    process.stdout.write(help);
    return 0;
  }
  // Read first, so that a wrong name costs no run.
  const baseline =
    options.baseline === undefined
      ? undefined
      : (JSON.parse(await readFile(options.baseline, 'utf8')) as { readonly figures: LoadFigures }).figures;
  const stopping = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM'] as const)
    process.once(name, () => stopping.abort(new Error(`stopped by ${name}`)));
  let run;
  try {
    run = await runLoad(options, (text) => process.stderr.write(`${text}\n`), stopping.signal);
  } catch (error) {
    if (!stopping.signal.aborted) throw error;
    process.stderr.write(`${String(error)}; no report\n`);
    // What was under way is not waited for: everything it would need is gone.
    process.exit(130);
  }
  const figures = figuresOf(run);
  const folder = join(options.out, run.startedAt.replaceAll(/[:.]/g, '-'));
  await mkdir(folder, { recursive: true });
  // Ages of single results are for the plots; the figures stand for them in the file that is kept.
  const samples = run.samples.map(({ agesMs, ...sample }) => ({ ...sample, ages: agesMs.length }));
  await writeFile(join(folder, 'report.json'), `${JSON.stringify({ ...run, figures, samples }, null, 1)}\n`);
  await writeFile(join(folder, 'report.html'), reportPage(run, baseline));
  for (const [name, now, before] of figureLines(figures, baseline))
    process.stdout.write(`${name.padEnd(42)} ${now.padStart(14)} ${before.padStart(14)}\n`);
  const { accounting } = run;
  const holds = accountHolds(accounting);
  process.stdout.write(
    `accounting ${holds ? 'holds' : 'DOES NOT HOLD'}: ${String(accounting.framesSent)} frames sent, ${String(accounting.framesInResults)} in results, ` +
      `${String(accounting.lost)} lost, ${String(accounting.repeated)} repeated, ${String(accounting.reordered)} out of order\n${accounting.violations.map((line) => `${line}\n`).join('')}${folder}/report.html\n`,
  );
  return holds ? 0 : 1;
}

process.exitCode = await main();
