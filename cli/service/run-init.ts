import { randomUUID } from 'node:crypto';
import type { Service } from '#shared/core/service';
import { packageVersion } from '#shared/runtime/package-version';
import { systemClock } from '#shared/runtime/system-clock';
import { initialise } from './init.ts';
import { serve } from './serve.ts';
import { openServiceConnection } from './service-connection.ts';
import { loadServiceSettings, type ServiceRequest } from './service-settings.ts';

/** `sightline service init`: ends when topics and schemas are there. */
export async function runInit(request: ServiceRequest): Promise<void> {
  const settings = loadServiceSettings(request, process.env);
  await serve('init', settings, async ({ logger }): Promise<Service> => {
    const producer = { service: 'init', instance_id: randomUUID(), version: packageVersion };
    const connection = await openServiceConnection({
      settings,
      environment: process.env,
      producer,
      clock: systemClock,
      logger,
    });
    const stopping = new AbortController();
    let closing: Promise<void> | undefined;
    return {
      name: 'init',
      start: () => initialise(connection, { settings, logger, signal: stopping.signal }),
      finished: Promise.resolve(),
      drain: () => Promise.resolve(),
      close() {
        stopping.abort();
        return (closing ??= connection.close());
      },
      readiness: () => ({ ready: false, reason: connection.waitsFor ?? 'at work' }),
    };
  });
}
