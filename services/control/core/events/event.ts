import type { Subscription } from '../ports.ts';
import type { EventKind } from './event-kinds.ts';

export type EventDetail = string | number | boolean | null | readonly string[];

/** Something that happened to the site: to a camera, to its registration, to the models. */
export interface SiteEvent {
  /** UUID made of what happened: told again, it is the same. */
  readonly id: string;
  readonly timeUs: number;
  readonly kind: EventKind;
  /** Null where it is not about one camera. */
  readonly cameraId: string | null;
  /** In words, for people. */
  readonly summary: string;
  /** Of CameraStatus; null where there is none. */
  readonly reasonCode: string | null;
  readonly details: Readonly<Record<string, EventDetail>>;
}

export interface KeptEvent extends SiteEvent {
  /** In the order in which this process learned of them; where a stream goes on. */
  readonly seq: number;
}

export interface EventFilter {
  /** Whose events may be seen; null: all, those that are about no camera too. */
  readonly visible: readonly string[] | null;
  readonly cameraId?: string;
  readonly kinds?: readonly EventKind[];
  readonly sinceUs?: number;
  readonly untilUs?: number;
}

/** Where a page ended. */
export interface EventPlace {
  readonly timeUs: number;
  readonly seq: number;
}

/** What happened, bounded in number and age. What goes first where there are too many is the oldest of the camera with the most. */
export interface EventStore {
  /** Undefined where it is there already, or is older than what is kept. */
  add(event: SiteEvent): KeptEvent | undefined;
  /** By time, newest first, those before `before`. */
  newest(filter: EventFilter, limit: number, before?: EventPlace): readonly KeptEvent[];
  /** The last `limit` that were learned of after `afterSeq`, oldest first. */
  following(filter: EventFilter, afterSeq: number, limit: number): readonly KeptEvent[];
  /** Of every camera the last event of one of these kinds. */
  lastOfCameras(kinds: readonly EventKind[]): readonly KeptEvent[];
  close(): void;
}

/** What happened, for those who ask and those who listen. A listener must not block: it takes what it gets and returns. */
export interface EventFeed extends Pick<EventStore, 'newest' | 'following'> {
  onEvent(listener: (event: KeptEvent) => void): Subscription;
  hasStill(eventId: string): boolean;
  /** A JPEG; undefined where there is none, or it is of another camera. */
  still(eventId: string, cameraId: string): Uint8Array | undefined;
}

export function matches(event: SiteEvent, { visible, cameraId, kinds, sinceUs, untilUs }: EventFilter): boolean {
  if (visible !== null && (event.cameraId === null || !visible.includes(event.cameraId))) return false;
  if (cameraId !== undefined && event.cameraId !== cameraId) return false;
  if (kinds !== undefined && !kinds.includes(event.kind)) return false;
  return (sinceUs === undefined || event.timeUs >= sinceUs) && (untilUs === undefined || event.timeUs < untilUs);
}
