import type { Logger } from '#shared/core/logger';
import { systemClock } from '#shared/runtime/system-clock';
import { openServiceConnection, type ServiceConnection } from '../../cli/service/service-connection.ts';
import { loadServiceSettings, type ServiceSettings } from '../../cli/service/service-settings.ts';
import { loadProducer } from './simulated-engine.ts';

/** Where the processes of a load test meet; handed to each as JSON. */
export interface LoadMeeting {
  readonly brokers: readonly string[];
  readonly registryUrl: string;
  readonly prefix: string;
  readonly partitions: number;
  readonly sessionSeconds: number;
}

const quiet = (): void => undefined;

/** Warnings and errors on standard error: what goes wrong in a run belongs to what it shows. */
export const stderrLogger: Logger = {
  debug: quiet,
  info: quiet,
  warn: (fields, text) => process.stderr.write(`${text} ${JSON.stringify(fields)}\n`),
  error: (fields, text) => process.stderr.write(`${text} ${JSON.stringify(fields)}\n`),
  child: () => stderrLogger,
};

export function settingsOf(meeting: LoadMeeting): ServiceSettings {
  return loadServiceSettings(
    {
      flags: {
        brokers: meeting.brokers.join(),
        registry: meeting.registryUrl,
        topics: { prefix: meeting.prefix, partitions: meeting.partitions },
        session_timeout_s: meeting.sessionSeconds,
      },
    },
    {},
  );
}

export function connect(meeting: LoadMeeting): Promise<ServiceConnection> {
  return openServiceConnection({
    settings: settingsOf(meeting),
    environment: process.env,
    producer: loadProducer,
    clock: systemClock,
    logger: stderrLogger,
  });
}
