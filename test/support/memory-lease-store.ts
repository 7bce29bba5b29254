/** Leases in memory, with a clock of the test. */
export function createMemoryLeaseStore(nowMs: () => number = () => performance.now()) {
  const owners = new Map<string, number>();
  const leases = new Map<string, { owner: string; untilMs: number }>();
  return {
    announce(owner: string, ttlMs: number): Promise<readonly string[]> {
      owners.set(owner, nowMs() + ttlMs);
      for (const [other, untilMs] of owners) if (untilMs <= nowMs()) owners.delete(other);
      return Promise.resolve([...owners.keys()]);
    },
    acquire(name: string, owner: string, ttlMs: number): Promise<boolean> {
      const held = leases.get(name);
      if (held !== undefined && held.owner !== owner && held.untilMs > nowMs()) return Promise.resolve(false);
      leases.set(name, { owner, untilMs: nowMs() + ttlMs });
      return Promise.resolve(true);
    },
    release(name: string, owner: string): Promise<void> {
      if (leases.get(name)?.owner === owner) leases.delete(name);
      return Promise.resolve();
    },
    untilLapseMs(): number | null {
      return owners.size < 2 ? null : Math.max(0, Math.min(...owners.values()) - nowMs());
    },
    leave(owner: string): Promise<void> {
      owners.delete(owner);
      return Promise.resolve();
    },
    close: (): Promise<void> => Promise.resolve(),
  };
}
