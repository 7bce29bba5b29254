import type { Camera } from './types.ts';

export interface CameraFilter {
  readonly text: string;
  /** '' for all. */
  readonly state: string;
  readonly tag: string;
}

/** What needs a look comes first; within it, by id. */
const urgency = ['REJECTED', 'OFFLINE', 'DEGRADED', 'CONNECTING', 'PROBING', 'ONLINE', 'ENDED', 'DISABLED'];

export function filterCameras(cameras: readonly Camera[], filter: CameraFilter): readonly Camera[] {
  const words = filter.text.toLowerCase().split(/\s+/).filter(Boolean);
  return cameras
    .filter(
      (camera) =>
        (filter.state === '' || shownState(camera) === filter.state) &&
        (filter.tag === '' || camera.tags.includes(filter.tag)) &&
        words.every((word) => searchable(camera).includes(word)),
    )
    .toSorted((a, b) => rank(a) - rank(b) || a.id.localeCompare(b.id, 'en', { numeric: true }));
}

export function shownState(camera: Camera): string {
  return camera.enabled ? camera.status.state : 'DISABLED';
}

/** Each state that occurs with how often, for the filter and for the line that is read out. */
export function countStates(cameras: readonly Camera[]): readonly (readonly [state: string, count: number])[] {
  const counts = new Map<string, number>();
  for (const camera of cameras) counts.set(shownState(camera), (counts.get(shownState(camera)) ?? 0) + 1);
  return [...counts].toSorted(([a], [b]) => urgency.indexOf(a) - urgency.indexOf(b));
}

function rank(camera: Camera): number {
  const index = urgency.indexOf(shownState(camera));
  return index < 0 ? urgency.length : index;
}

function searchable(camera: Camera): string {
  return [camera.id, camera.name, ...camera.tags, camera.status.reasonText].join(' ').toLowerCase();
}
