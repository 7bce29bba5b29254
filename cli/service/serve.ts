import { createMetricStore, type MetricStore } from '#shared/core/metric-store';
import type { Logger } from '#shared/core/logger';
import type { Service } from '#shared/core/service';
import { startHealthServer } from '#shared/runtime/health-server';
import { createLogger } from '#shared/runtime/logger';
import { createMetricsText } from '#shared/runtime/metrics';
import { runService } from '#shared/runtime/run-service';
import type { ServiceSettings } from './service-settings.ts';

/** Runs one service as the process: its health is told from the first moment on, also while it waits for others. */
export async function serve(
  name: string,
  settings: ServiceSettings,
  create: (tools: { logger: Logger; metrics: MetricStore }) => Promise<Service>,
): Promise<void> {
  const logger = (await createLogger({ level: settings.log.level, format: settings.log.format })).child({
    service: name,
  });
  const metrics = createMetricStore();
  const service = await create({ logger, metrics });
  const { port, host } = settings.http;
  const health =
    port === undefined
      ? undefined
      : await startHealthServer({
          port,
          host,
          readiness: () => service.readiness(),
          metricsText: createMetricsText(metrics),
          logger,
        });
  if (health !== undefined) logger.info({ url: health.url }, 'serving /healthz, /readyz and /metrics');
  await runService(withHealth(service, health), { logger });
}

/** The health server goes last: until then it says that the service is stopping. */
function withHealth(service: Service, health: { close(): Promise<void> } | undefined): Service {
  if (health === undefined) return service;
  let closing: Promise<void> | undefined;
  return {
    ...service,
    close: () => (closing ??= service.close().finally(() => health.close())),
  };
}
