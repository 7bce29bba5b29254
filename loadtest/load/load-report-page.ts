import { figureText, type FigureLine } from './load-figures.ts';
import { accountHolds, groupOf, quantile, type LoadRun } from './load-report.ts';

interface Line {
  readonly name: string;
  /** A value for each sample; undefined where there is none. */
  readonly values: readonly (number | undefined)[];
}

const colours = ['#1668c7', '#c2410c', '#15803d', '#7e22ce', '#a16207', '#0e7490', '#be123c', '#4d7c0f'];
const [width, height, left, bottom] = [720, 170, 56, 24];
/** More lines than colours are not told apart. */
const mostLines = colours.length;

export function escapeHtml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
}

/** The report as one page without anything outside of it. */
export function reportPage(run: LoadRun, figures: readonly FigureLine[]): string {
  const { options, samples, events } = run;
  const [atS, marks] = [
    samples.map((sample) => sample.atS),
    events.filter(({ kind }) => kind === 'fault').map((event) => event.atS),
  ];
  const plot = (title: string, lines: readonly Line[]): string => chart(title, atS, lines, marks);
  const sorted = samples.map(({ agesMs }) => agesMs.toSorted((one, other) => one - other));
  const ages: Line[] = [0.5, 0.95, 0.99].map((share) => ({
    name: `p${String(share * 100)}`,
    values: sorted.map((own) => (own.length === 0 ? undefined : quantile(own, share))),
  }));
  const load = `${String(options.cameras)} cameras of ${String(options.fps)} fps, ${String(options.workers)} workers of ${options.model ?? `${String(options.simulatedMs)} ms a frame`}, faults: ${options.faults.join(', ') || 'none'}`;
  return `<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Load test ${escapeHtml(run.startedAt)}</title>
<style>body{font:15px/1.5 system-ui,sans-serif;max-width:760px;margin:2rem auto;padding:0 1rem;color:#1c1c1c;background:#fff}
table{border-collapse:collapse}td,th{padding:.15rem .9rem .15rem 0;text-align:left;border-bottom:1px solid #ddd}td.number{text-align:right}
svg{display:block;width:100%;height:auto}text{font:11px system-ui,sans-serif;fill:#444}.good{color:#15803d}.bad{color:#b91c1c}</style>
<h1>Load test</h1>
<p>${escapeHtml(`${run.startedAt}: ${load}.`)}
${verdict(run)}
${figureTable(figures, options.tolerance)}
${plot('Results a second', [{ name: 'results', values: perSecond(samples) }])}
${plot('Age of results, ms', ages)}
${plot(
  'Frames dropped a second, by reason',
  series(samples, ({ dropped }) => dropped, 0),
)}
${plot(
  'CPU, cores',
  series(samples, ({ cpu }) => cpu, undefined),
)}
${plot(
  'Memory, MB',
  series(samples, ({ rssMb }) => rssMb, undefined),
)}
${plot('Lag, frames', [{ name: 'lag', values: samples.map(({ lag }) => lag) }])}
<h2>Timeline</h2><ul>${events.map(({ atS: at, text, kind }) => `<li${kind === 'fault' ? ' class="bad"' : ''}>${at.toFixed(1)} s: ${escapeHtml(text)}`).join('')}</ul>
<h2>Machine and options</h2><table>${Object.entries({ ...run.machine, ...options })
    .map(([name, value]) => `<tr><td>${escapeHtml(name)}<td>${escapeHtml(String(value))}`)
    .join('')}</table>
`;
}

function verdict({ accounting }: LoadRun): string {
  const { framesSent, cameras, records, lost, repeated, reordered, violations } = accounting;
  return accountHolds(accounting)
    ? `<p class="good">Accounting holds: ${String(framesSent)} frames of ${String(cameras)} cameras, each in one of ${String(records)} records.`
    : `<p class="bad">Accounting does not hold: ${String(lost)} lost, ${String(repeated)} repeated, ${String(reordered)} out of order. ${escapeHtml(violations.join('; '))}`;
}

function figureTable(figures: readonly FigureLine[], tolerance: number): string {
  const isCompared = figures.some(({ baseline }) => baseline !== undefined);
  const rows = figures.map((line) => {
    const { name, value, baseline, ratio, isRegression } = line;
    const cells = isCompared
      ? `<td class="number">${escapeHtml(figureText(baseline, line))}<td class="number${isRegression ? ' bad' : ''}">${ratio === undefined ? '' : ratio.toFixed(2)}`
      : '';
    return `<tr><td>${escapeHtml(name)}<td class="number">${escapeHtml(figureText(value, line))}${cells}`;
  });
  const heads = isCompared ? '<th>baseline<th>ratio' : '';
  const words = isCompared ? `<p>Red: worse than the baseline by more than ${String(tolerance * 100)} %.` : '';
  return `<table><tr><th>figure<th>this run${heads}\n${rows.join('\n')}</table>${words}`;
}

/** A line for each name; where there are too many to tell them apart, for each kind: `worker 3` and `worker 4` are both `worker`. */
function series(
  samples: LoadRun['samples'],
  read: (sample: LoadRun['samples'][number]) => Readonly<Record<string, number>>,
  absent: number | undefined,
): Line[] {
  const names = new Set(samples.flatMap((sample) => Object.keys(read(sample))));
  const nameOf = names.size > mostLines ? groupOf : (name: string): string => name;
  const lines = new Map<string, (number | undefined)[]>();
  for (const [index, sample] of samples.entries()) {
    for (const [name, value] of Object.entries(read(sample))) {
      const values = lines.get(nameOf(name)) ?? Array.from({ length: samples.length }, () => absent);
      values[index] = (values[index] ?? 0) + value;
      lines.set(nameOf(name), values);
    }
  }
  return [...lines].slice(0, mostLines).map(([name, values]) => ({ name, values }));
}

function perSecond(samples: LoadRun['samples']): (number | undefined)[] {
  return samples.map(({ atS, results }, index) => {
    const before = samples[index - 1];
    return before === undefined ? undefined : results / (atS - before.atS);
  });
}

/** All charts of a report have the same times, so that what happened at once stands above each other. */
function chart(title: string, atS: readonly number[], lines: readonly Line[], marks: readonly number[]): string {
  const values = lines.flatMap((line) => line.values.filter((value) => value !== undefined));
  if (values.length === 0) return `<h2>${escapeHtml(title)}</h2><p>none`;
  const [firstS, lastS] = [Math.min(...atS), Math.max(...atS)];
  const top = Math.max(...values, 1e-9);
  const x = (at: number): string =>
    (left + ((at - firstS) / Math.max(lastS - firstS, 1e-9)) * (width - left - 8)).toFixed(1);
  const y = (value: number): string => (height - bottom - (value / top) * (height - bottom - 10)).toFixed(1);
  const grid = [0, 0.5, 1].map(
    (share) =>
      `<path d="M${String(left)} ${y(top * share)}H${String(width)}" stroke="#e5e5e5"/><text x="${String(left - 6)}" y="${y(top * share)}" text-anchor="end">${short(top * share)}</text>`,
  );
  const drawn = lines.map(
    (line, index) =>
      `<path fill="none" stroke-width="1.5" stroke-linecap="round" stroke="${colours[index % colours.length] ?? ''}" d="${pathOf(line.values, atS, x, y)}"/>`,
  );
  const drawnFaults = marks
    .filter((at) => at >= firstS && at <= lastS)
    .map((at) => `<path d="M${x(at)} 8V${String(height - bottom)}" stroke="#b91c1c" stroke-dasharray="3 3"/>`);
  const legend = lines.map(
    ({ name }, index) => `<span style="color:${colours[index % colours.length] ?? ''}">■</span> ${escapeHtml(name)}`,
  );
  const axis = [firstS, (firstS + lastS) / 2, lastS].map(
    (at, index) =>
      `<text x="${x(at)}" y="${String(height - 6)}" text-anchor="${['start', 'middle', 'end'][index] ?? ''}">${at.toFixed(0)} s</text>`,
  );
  return `<h2>${escapeHtml(title)}</h2><svg viewBox="0 0 ${String(width)} ${String(height)}" role="img" aria-label="${escapeHtml(title)}">${[...grid, ...drawn, ...drawnFaults, ...axis].join('')}</svg><p>${legend.join(' &nbsp; ')}`;
}

/** Broken where there is no value; one between two gaps is a dot. */
function pathOf(
  values: Line['values'],
  atS: readonly number[],
  x: (at: number) => string,
  y: (value: number) => string,
): string {
  let isOpen = false;
  let path = '';
  for (const [index, value] of values.entries()) {
    if (value === undefined) {
      isOpen = false;
      continue;
    }
    const point = `${x(atS[index] ?? 0)} ${y(value)}`;
    path += isOpen ? `L${point}` : `M${point}h0`;
    isOpen = true;
  }
  return path;
}

function short(value: number): string {
  return value === 0 ? '0' : value >= 100 ? value.toFixed(0) : value >= 1 ? value.toFixed(1) : value.toFixed(3);
}
