import { useEffect, useRef } from 'preact/hooks';
import uPlot from 'uplot';
import 'uplot/dist/uPlot.min.css';
import type { Series } from '../core/series.ts';

export interface ChartProps {
  readonly title: string;
  readonly unit: string;
  readonly series: Series;
}

const heightPx = 150;
const colours = ['#2f81d8', '#d9822b', '#2f9e5b', '#b0529b', '#8c7b14', '#6d5bd0', '#c9484c', '#12919a'];

/** Lines over the last minutes. The last values stand under it in words, for whoever does not see the lines. */
export function Chart({ title, unit, series }: ChartProps) {
  const place = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | undefined>(undefined);
  const names = series.names.join('\n');

  useEffect(() => {
    const target = place.current;
    if (target === null || names === '') return undefined;
    const ink = getComputedStyle(target).getPropertyValue('--muted').trim();
    const grid = { stroke: getComputedStyle(target).getPropertyValue('--line').trim(), width: 1 };
    const made = new uPlot(
      {
        width: Math.max(200, target.clientWidth),
        height: heightPx,
        legend: { show: false },
        cursor: { show: false },
        axes: [
          { stroke: ink, grid, space: 70, values: (_plot, times) => times.map(clockText) },
          { stroke: ink, grid, size: 56 },
        ],
        scales: { y: { range: (_plot, _low, high) => [0, Math.max(1, high * 1.1)] } },
        series: [
          {},
          ...names.split('\n').map((label, index) => ({
            label,
            stroke: colours[index % colours.length] ?? '#888',
            width: 1.5,
            points: { show: false },
          })),
        ],
      },
      [[]],
      target,
    );
    plot.current = made;
    const watcher = new ResizeObserver(() =>
      made.setSize({ width: Math.max(200, target.clientWidth), height: heightPx }),
    );
    watcher.observe(target);
    return () => {
      watcher.disconnect();
      made.destroy();
      plot.current = undefined;
    };
  }, [names]);

  useEffect(() => {
    plot.current?.setData([[...series.times], ...series.columns.map((column) => [...column])]);
  }, [series]);

  return (
    <figure class="chart">
      <figcaption>
        {title} <span class="muted">({unit})</span>
      </figcaption>
      <div ref={place} class="chart-place" aria-hidden="true" />
      {series.names.length === 0 ? <p class="muted small">Nothing yet.</p> : null}
      <ul class="legend">
        {series.names.map((name, index) => (
          <li key={name}>
            <span class="swatch" style={{ background: colours[index % colours.length] }} aria-hidden="true" />
            {name} <b>{lastValue(series.columns[index])}</b>
          </li>
        ))}
      </ul>
    </figure>
  );
}

function lastValue(column: readonly number[] | undefined): string {
  // The newest second is not over yet, so the one before it is told.
  const value = column?.at(-2) ?? column?.at(-1) ?? 0;
  return value < 10 ? value.toFixed(1) : value.toFixed(0);
}

/** Time of day as the rest of the page tells it: UTC, 24 hours. */
function clockText(second: number): string {
  return new Date(second * 1000).toISOString().slice(11, 19);
}
