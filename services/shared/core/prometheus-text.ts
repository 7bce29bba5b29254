import type { MetricSample, MetricSnapshot } from './metric-store.ts';

/** The text that Prometheus reads (exposition format 0.0.4). */
export function renderPrometheusText(metrics: readonly MetricSnapshot[]): string {
  return metrics.map(renderMetric).join('\n');
}

function renderMetric({ name, help, kind, samples }: MetricSnapshot): string {
  return `# HELP ${name} ${escapeHelp(help)}\n# TYPE ${name} ${kind}\n${samples.map(renderSample).join('')}`;
}

function renderSample({ name, labels, value }: MetricSample): string {
  const pairs = Object.entries(labels).map(([label, text]) => `${label}="${escapeLabel(text)}"`);
  return `${name}${pairs.length === 0 ? '' : `{${pairs.join(',')}}`} ${renderNumber(value)}\n`;
}

function renderNumber(value: number): string {
  if (Number.isNaN(value)) return 'NaN';
  if (!Number.isFinite(value)) return value > 0 ? '+Inf' : '-Inf';
  return String(value);
}

const escapeHelp = (text: string): string => text.replaceAll('\\', '\\\\').replaceAll('\n', '\\n');
const escapeLabel = (text: string): string => escapeHelp(text).replaceAll('"', '\\"');
