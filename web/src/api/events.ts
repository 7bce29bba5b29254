import type { EventSeverity, SiteEvent } from '../core/types.ts';
import { ApiError, request, send } from './request.ts';
import type { Schemas } from './schemas.ts';

export const eventsPath = '/api/v1/events';

export interface EventFilter {
  readonly camera: string;
  /** A group of kinds; '' for all. */
  readonly kind: string;
  readonly sinceMs: number | undefined;
}

export interface EventPage {
  readonly events: readonly SiteEvent[];
  readonly next: string | undefined;
}

export function eventsQuery({ camera, kind, sinceMs }: EventFilter, limit: number, cursor?: string): string {
  const query = new URLSearchParams({ limit: String(limit) });
  if (camera !== '') query.set('camera', camera);
  if (kind !== '') query.set('kind', kind);
  if (sinceMs !== undefined) query.set('since', new Date(sinceMs).toISOString());
  if (cursor !== undefined) query.set('cursor', cursor);
  return `${eventsPath}?${query.toString()}`;
}

export async function listEvents(filter: EventFilter, limit: number, cursor?: string): Promise<EventPage> {
  // What the document says of this answer.
  const page = (await request(eventsQuery(filter, limit, cursor))).body as Schemas['EventPage'];
  return { events: page.items.map(siteEvent), next: page.next_cursor ?? undefined };
}

/** A picture needs the token, which the address of an image cannot carry. */
export async function readStill(cameraId: string, eventId: string, signal: AbortSignal): Promise<Blob> {
  const path = `/api/v1/cameras/${encodeURIComponent(cameraId)}/events/${encodeURIComponent(eventId)}/still.jpg`;
  const answer = await send(path, { signal, headers: { accept: 'image/jpeg' } });
  if (!answer.ok) throw new ApiError(answer.status, undefined, 'the picture is gone');
  return answer.blob();
}

const severities: Readonly<Record<Schemas['Event']['severity'], EventSeverity>> = {
  INFO: 'info',
  NOTICE: 'notice',
  ALERT: 'alert',
};

function siteEvent(from: Schemas['Event']): SiteEvent {
  const { id, kind, summary, details } = from;
  return {
    ...{ id, kind, summary, timeMs: from.time / 1000, severity: severities[from.severity] },
    cameraId: from.camera_id ?? undefined,
    reasonCode: from.reason_code ?? undefined,
    by: typeof details['by'] === 'string' ? details['by'] : undefined,
    hasStill: from.has_still,
  };
}
