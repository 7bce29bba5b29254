import { figureText, type FigureLine } from './load-figures.ts';
import { accountHolds, groupOf, quantile, type LoadRun } from './load-report.ts';

interface Line {
  readonly name: string;
  readonly points: readonly (readonly [number, number])[];
}

const colours = ['#1668c7', '#c2410c', '#15803d', '#7e22ce', '#a16207', '#0e7490', '#be123c', '#4d7c0f'];
const [width, height, left, bottom] = [720, 200, 56, 24];
/** More lines than colours are not told apart. */
const mostLines = colours.length;

export function escapeHtml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
}

/** The report as one page without anything outside of it. */
export function reportPage(run: LoadRun, figures: readonly FigureLine[]): string {
  const { options, samples, events } = run;
  const perSecond: Line[] = [
    { name: 'results', points: lengths(samples).map(([atS, s, index]) => [atS, (samples[index]?.results ?? 0) / s]) },
  ];
  const ages: Line[] = [0.5, 0.95, 0.99].map((share) => ({
    name: `p${String(share * 100)}`,
    points: samples
      .filter(({ agesMs }) => agesMs.length > 0)
      .map(({ atS, agesMs }) => [
        atS,
        quantile(
          agesMs.toSorted((one, other) => one - other),
          share,
        ),
      ]),
  }));
  const lag: Line[] = [
    {
      name: 'lag',
      points: samples.flatMap(({ atS, lag: frames }) => (frames === undefined ? [] : [[atS, frames] as const])),
    },
  ];
  const marks = events.filter(({ kind }) => kind === 'fault').map(({ atS }) => atS);
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
${chart('Results a second', perSecond, marks)}
${chart('Age of results, ms', ages, marks)}
${chart(
  'Frames dropped a second, by reason',
  series(samples, ({ dropped }) => dropped),
  marks,
)}
${chart(
  'CPU, cores',
  series(samples, ({ cpu }) => cpu),
  marks,
)}
${chart(
  'Memory, MB',
  series(samples, ({ rssMb }) => rssMb),
  marks,
)}
${chart('Lag, frames', lag, marks)}
<h2>Timeline</h2><ul>${events.map(({ atS, text, kind }) => `<li${kind === 'fault' ? ' class="bad"' : ''}>${atS.toFixed(1)} s: ${escapeHtml(text)}`).join('')}</ul>
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
): Line[] {
  const names = new Set(samples.flatMap((sample) => Object.keys(read(sample))));
  const nameOf = names.size > mostLines ? groupOf : (name: string): string => name;
  const lines = new Map<string, [number, number][]>();
  for (const sample of samples) {
    const sums = new Map<string, number>();
    for (const [name, value] of Object.entries(read(sample)))
      sums.set(nameOf(name), (sums.get(nameOf(name)) ?? 0) + value);
    for (const [name, value] of sums) lines.set(name, [...(lines.get(name) ?? []), [sample.atS, value]]);
  }
  return [...lines].slice(0, mostLines).map(([name, points]) => ({ name, points }));
}

/** End, length and index of each sample but the first. */
function lengths(samples: LoadRun['samples']): (readonly [number, number, number])[] {
  return samples.slice(1).map(({ atS }, index) => [atS, atS - (samples[index]?.atS ?? 0), index + 1]);
}

function chart(title: string, lines: readonly Line[], marks: readonly number[]): string {
  const points = lines.flatMap((line) => line.points);
  if (points.length === 0) return `<h2>${escapeHtml(title)}</h2><p>none`;
  const times = points.map(([atS]) => atS);
  const [firstS, lastS] = [Math.min(...times), Math.max(...times)];
  const top = Math.max(...points.map(([, value]) => value), 1e-9);
  const x = (atS: number): string =>
    (left + ((atS - firstS) / Math.max(lastS - firstS, 1e-9)) * (width - left - 8)).toFixed(1);
  const y = (value: number): string => (height - bottom - (value / top) * (height - bottom - 10)).toFixed(1);
  const grid = [0, 0.5, 1].map(
    (share) =>
      `<path d="M${String(left)} ${y(top * share)}H${String(width)}" stroke="#e5e5e5"/><text x="${String(left - 6)}" y="${y(top * share)}" text-anchor="end">${short(top * share)}</text>`,
  );
  const drawn = lines.map(
    ({ points: own }, index) =>
      `<polyline fill="none" stroke-width="1.5" stroke="${colours[index % colours.length] ?? ''}" points="${own.map(([atS, value]) => `${x(atS)},${y(value)}`).join(' ')}"/>`,
  );
  const faults = marks.filter((atS) => atS >= firstS && atS <= lastS);
  const drawnFaults = faults.map(
    (atS) => `<path d="M${x(atS)} 8V${String(height - bottom)}" stroke="#b91c1c" stroke-dasharray="3 3"/>`,
  );
  const legend = lines.map(
    ({ name }, index) => `<span style="color:${colours[index % colours.length] ?? ''}">■</span> ${escapeHtml(name)}`,
  );
  const axis = `<text x="${String(left)}" y="${String(height - 6)}">${firstS.toFixed(0)} s</text><text x="${String(width)}" y="${String(height - 6)}" text-anchor="end">${lastS.toFixed(0)} s</text>`;
  return `<h2>${escapeHtml(title)}</h2><svg viewBox="0 0 ${String(width)} ${String(height)}" role="img" aria-label="${escapeHtml(title)}">${[...grid, ...drawn, ...drawnFaults, axis].join('')}</svg><p>${legend.join(' &nbsp; ')}`;
}

function short(value: number): string {
  return value >= 100 ? value.toFixed(0) : value >= 1 ? value.toFixed(1) : value.toFixed(3);
}
