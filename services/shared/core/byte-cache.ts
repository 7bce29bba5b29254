/** What `put` came to. `refused`: the value is too large, or the store is full and takes none. */
export type PutOutcome = 'kept' | 'refused' | 'unavailable';

/**
 * Values that can be had again some other way, kept for a while where other processes find them. Nothing here ever rejects and no call
 * waits long: a store that is away, frozen, full or read-only is an ordinary outcome, and the caller does its work as if there were none.
 */
export interface ByteCache {
  get(key: string): Promise<Uint8Array | 'miss' | 'unavailable'>;
  put(key: string, value: Uint8Array, ttlMs: number): Promise<PutOutcome>;
  /** Why it does not answer, in words; undefined while it does. */
  readonly trouble: string | undefined;
  /** May be called twice. */
  close(): Promise<void>;
}

/** Larger values are refused by every implementation: a still of a camera fits, a film does not. */
export const maxCachedBytes = 1024 * 1024;
