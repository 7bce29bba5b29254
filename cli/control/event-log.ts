import { join } from 'node:path';
import type { CameraRegistry } from '#shared/core/camera-registry';
import type { Clock } from '#shared/core/clock';
import type { Logger } from '#shared/core/logger';
import type { RolloutLog } from '#shared/core/rollout/rollout-log';
import { openEventStore } from '../../services/control/adapters/sqlite/event-store.ts';
import { EventRecorder } from '../../services/control/core/events/event-recorder.ts';
import { EventStills } from '../../services/control/core/events/event-stills.ts';
import type { LiveFeed } from '../../services/control/core/ports.ts';

export interface EventLogOptions {
  /** Folder of the file that they are kept in. */
  readonly directory: string;
  readonly keep: { readonly max_count: number; readonly max_days: number };
  readonly live: LiveFeed;
  readonly registry: CameraRegistry;
  readonly rolloutLog: RolloutLog | undefined;
  readonly clock: Clock;
  readonly logger: Logger;
}

const msPerDay = 86_400_000;

export interface EventLog {
  readonly events: EventRecorder;
  /** What happened before: what the registry and the log of roll-outs hold already. Told again at every start, and kept once. */
  takeUp(): Promise<void>;
  close(): void;
}

/** Events of all that this process learns of cameras, registrations and roll-outs, from now on. */
export function openEventLog({
  directory,
  keep,
  live,
  registry,
  rolloutLog,
  clock,
  logger,
}: EventLogOptions): EventLog {
  const nowUs = (): number => clock.nowUs();
  const store = openEventStore({
    path: join(directory, 'events.sqlite'),
    ...{ maxCount: keep.max_count, maxAgeMs: keep.max_days * msPerDay, nowUs },
  });
  const events = new EventRecorder({ store, stills: new EventStills(live), nowUs, logger });
  const onStatus = live.onStatus((status) => events.status(status));
  const ends = [
    () => onStatus.close(),
    registry.watch((change) => events.registration(change)),
    rolloutLog?.watch((step) => events.step(step)),
  ];
  return {
    events,
    async takeUp() {
      for (const registration of await registry.list())
        events.registration({ cameraId: registration.camera_id, registration });
      for (const step of rolloutLog?.steps() ?? []) events.step(step);
    },
    close() {
      for (const end of ends) end?.();
      events.close();
    },
  };
}
