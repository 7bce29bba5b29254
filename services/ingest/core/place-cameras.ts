import { hash } from 'node:crypto';

/**
 * Which owner keeps which camera. Everybody who knows the same cameras and owners comes to the same plan, owners get equal numbers (to
 * within one), and an owner that comes or goes moves few cameras but its own.
 */
export function placeCameras(cameras: readonly string[], owners: readonly string[]): ReadonlyMap<string, string> {
  const plan = new Map<string, string>();
  if (owners.length === 0) return plan;
  const most = Math.ceil(cameras.length / owners.length);
  const counts = new Map<string, number>();
  for (const camera of cameras.toSorted()) {
    const ranked = owners
      .map((owner) => ({ owner, weight: hash('sha1', `${camera}\n${owner}`, 'hex') }))
      .sort((one, other) => (one.weight < other.weight ? 1 : -1));
    const chosen = ranked.find(({ owner }) => (counts.get(owner) ?? 0) < most);
    if (chosen === undefined) continue;
    counts.set(chosen.owner, (counts.get(chosen.owner) ?? 0) + 1);
    plan.set(camera, chosen.owner);
  }
  return plan;
}
