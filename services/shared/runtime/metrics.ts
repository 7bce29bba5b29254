import type { MetricStore } from '#shared/core/metric-store';
import { renderPrometheusText } from '#shared/core/prometheus-text';

export interface MetricsText {
  readonly contentType: string;
  readonly body: string;
}

/**
 * What /metrics answers: our own numbers, then those that prom-client knows of the process (memory, event loop, garbage collection).
 * prom-client is loaded at the first call: a run without an HTTP port should not pay 40 ms of start-up for it, and no frame passes through it.
 */
export function createMetricsText(store: MetricStore): () => Promise<MetricsText> {
  let processMetrics: Promise<{ metrics(): Promise<string>; readonly contentType: string }> | undefined;
  return async () => {
    processMetrics ??= collectProcessMetrics();
    const registry = await processMetrics;
    return {
      contentType: registry.contentType,
      body: `${renderPrometheusText(store.snapshot())}\n${await registry.metrics()}`,
    };
  };
}

async function collectProcessMetrics() {
  const { Registry, collectDefaultMetrics } = await import('prom-client');
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  return registry;
}
