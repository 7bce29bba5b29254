import type { CameraRegistration, CameraStatus, DriftState } from '#schemas';
import type { CameraRegistryChange } from '#shared/core/camera-registry';
import { toAppError } from '#shared/core/errors';
import type { Logger } from '#shared/core/logger';
import type { RolloutStep } from '#shared/core/rollout/rollout-state';
import type { Subscription } from '../ports.ts';
import type { EventFeed, EventFilter, EventPlace, EventStore, KeptEvent, SiteEvent } from './event.ts';
import { kindNames } from './event-kinds.ts';
import type { EventStills } from './event-stills.ts';
import {
  driftNewsOf,
  eventOfDrift,
  eventOfRegistration,
  eventOfRemoval,
  eventOfStatus,
  eventOfStep,
  type DriftNews,
} from './make-event.ts';

export interface EventRecorderOptions {
  readonly store: EventStore;
  readonly stills: EventStills;
  readonly nowUs: () => number;
  readonly logger: Logger;
}

const cameraKinds = kindNames.filter((kind) => kind.startsWith('camera.'));

/**
 * Makes events of what the process learns, keeps each once, and tells those who listen. What it is told twice, as topics are read anew after a
 * start, is the same event. That events cannot be kept holds nobody up: they are not what the pipeline is for.
 */
export class EventRecorder implements EventFeed {
  readonly #store: EventStore;
  readonly #stills: EventStills;
  readonly #nowUs: () => number;
  readonly #logger: Logger;
  readonly #listeners = new Set<(event: KeptEvent) => void>();
  readonly #registrations = new Map<string, CameraRegistration>();
  /** When the last drift of each camera began or ended. */
  readonly #driftToldMs = new Map<string, number>();
  /** What was told last of each camera. */
  readonly #told: Map<string, string>;
  /** Not kept since the last one that was. */
  #lost = 0;

  constructor({ store, stills, nowUs, logger }: EventRecorderOptions) {
    this.#store = store;
    this.#stills = stills;
    this.#nowUs = nowUs;
    this.#logger = logger;
    this.#told = new Map(
      store
        .lastOfCameras(cameraKinds)
        .map(({ cameraId, kind, reasonCode }) => [cameraId ?? '', `${kind}/${reasonCode}`]),
    );
  }

  /** A camera that is tried again and again and fails for the same reason each time is one event. */
  status(status: CameraStatus): void {
    const event = eventOfStatus(status);
    if (event === undefined) return;
    const state = `${event.kind}/${event.reasonCode}`;
    if (this.#told.get(status.camera_id) === state) return;
    this.#told.set(status.camera_id, state);
    this.record(event);
  }

  registration({ cameraId, registration, ageMs = 0 }: CameraRegistryChange): void {
    const previous = this.#registrations.get(cameraId);
    if (registration !== null) {
      this.#registrations.set(cameraId, registration);
      // One that was removed meanwhile and registered anew is another camera.
      const isSame = previous?.created_at === registration.created_at;
      // What is to be hidden from now on is in the pictures of before.
      if (isSame && JSON.stringify(previous.masks) !== JSON.stringify(registration.masks))
        this.#stills.forget(cameraId);
      this.record(eventOfRegistration(registration, isSame ? previous : undefined));
      return;
    }
    this.#registrations.delete(cameraId);
    this.#told.delete(cameraId);
    this.#driftToldMs.delete(cameraId);
    this.#stills.forget(cameraId);
    if (previous !== undefined)
      this.record(eventOfRemoval(cameraId, previous, this.#nowUs() - Math.round(ageMs * 1000)));
  }

  step(step: RolloutStep): void {
    this.record(eventOfStep(step));
  }

  drift(news: DriftNews): void {
    this.record(eventOfDrift(news));
  }

  /** What changed last with a camera, as inference keeps it; told again and again. */
  driftState(state: DriftState): void {
    const toldMs = this.#driftToldMs.get(state.camera_id) ?? 0;
    for (const news of driftNewsOf(state)) {
      // Several may have begun with one frame.
      if (news.timeMs < toldMs) continue;
      this.drift(news);
      this.#driftToldMs.set(state.camera_id, news.timeMs);
    }
  }

  record(event: SiteEvent): void {
    let kept: KeptEvent | undefined;
    try {
      kept = this.#store.add(event);
      if (this.#lost > 0) this.#logger.info({ lost: this.#lost }, 'events are kept again');
      this.#lost = 0;
    } catch (thrown) {
      this.#lost++;
      const { code, message } = toAppError(thrown);
      if (this.#lost === 1) this.#logger.warn({ code, reason: message }, 'events cannot be kept');
    }
    if (kept === undefined) return;
    for (const listener of this.#listeners) listener(kept);
    void this.#stills.take(kept); // never rejects
  }

  onEvent(listener: (event: KeptEvent) => void): Subscription {
    this.#listeners.add(listener);
    return { close: () => void this.#listeners.delete(listener) };
  }

  newest(filter: EventFilter, limit: number, before?: EventPlace): readonly KeptEvent[] {
    return this.#store.newest(filter, limit, before);
  }

  following(filter: EventFilter, afterSeq: number, limit: number): readonly KeptEvent[] {
    return this.#store.following(filter, afterSeq, limit);
  }

  hasStill(eventId: string): boolean {
    return this.#stills.has(eventId);
  }

  still(eventId: string, cameraId: string): Uint8Array | undefined {
    return this.#stills.get(eventId, cameraId);
  }

  close(): void {
    this.#listeners.clear();
    this.#stills.close();
    this.#store.close();
  }
}
