import { accountHolds, figureLines, figuresOf, quantile, type LoadFigures, type LoadRun } from './load-report.ts';

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
export function reportPage(run: LoadRun, baseline?: LoadFigures): string {
  const { options, accounting, samples, events } = run;
  const figures = figuresOf(run);
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
  const series = (read: (sample: LoadRun['samples'][number]) => Readonly<Record<string, number>>): Line[] =>
    [...new Set(samples.flatMap((sample) => Object.keys(read(sample))))].slice(0, mostLines).map((name) => ({
      name,
      points: samples.flatMap((sample) => {
        const value = read(sample)[name];
        return value === undefined ? [] : [[sample.atS, value] as const];
      }),
    }));
  const lag: Line[] = [
    {
      name: 'lag',
      points: samples.flatMap(({ atS, lag: frames }) => (frames === undefined ? [] : [[atS, frames] as const])),
    },
  ];
  const marks = events.map(({ atS }) => atS);
  const rows = figureLines(figures, baseline)
    .map(([name, now, before]) => `<tr><td>${escapeHtml(name)}<td>${escapeHtml(now)}<td>${escapeHtml(before)}`)
    .join('\n');
  const verdict = accountHolds(accounting)
    ? `<p class="good">Accounting holds: ${String(accounting.framesSent)} frames of ${String(options.cameras)} cameras, each in one result.`
    : `<p class="bad">Accounting does not hold: ${String(accounting.lost)} lost, ${String(accounting.repeated)} repeated, ${String(accounting.reordered)} out of order. ${escapeHtml(accounting.violations.join('; '))}`;
  return `<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Load test ${escapeHtml(run.startedAt)}</title>
<style>body{font:15px/1.5 system-ui,sans-serif;max-width:760px;margin:2rem auto;padding:0 1rem;color:#1c1c1c;background:#fff}
table{border-collapse:collapse}td,th{padding:.15rem .9rem .15rem 0;text-align:left;border-bottom:1px solid #ddd}
svg{display:block;width:100%;height:auto}text{font:11px system-ui,sans-serif;fill:#444}.good{color:#15803d}.bad{color:#b91c1c}</style>
<h1>Load test</h1>
<p>${escapeHtml(run.startedAt)}: ${String(options.cameras)} cameras of ${String(options.fps)} fps, ${String(options.workers)} workers of ${String(options.simulatedMs)} ms a frame, fault: ${options.fault}.
${verdict}
<table><tr><th>figure<th>this run<th>${baseline === undefined ? '' : 'baseline'}
${rows}</table>
${chart('Results a second', perSecond, marks)}
${chart('Age of results, ms', ages, marks)}
${chart(
  'Frames dropped a second, by reason',
  series(({ dropped }) => dropped),
  marks,
)}
${chart(
  'CPU, cores',
  series(({ cpu }) => cpu),
  marks,
)}
${chart(
  'Memory, MB',
  series(({ rssMb }) => rssMb),
  marks,
)}
${chart('Lag, frames', lag, marks)}
<h2>Events</h2><ul>${events.map(({ atS, text }) => `<li>${atS.toFixed(1)} s: ${escapeHtml(text)}`).join('')}</ul>
<h2>Machine and options</h2><table>${Object.entries({ ...run.machine, ...options })
    .map(([name, value]) => `<tr><td>${escapeHtml(name)}<td>${escapeHtml(String(value))}`)
    .join('')}</table>
`;
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
