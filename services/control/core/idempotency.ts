import { hash } from 'node:crypto';

export interface KeptAnswer {
  readonly status: number;
  readonly body: string;
  readonly headers: Readonly<Record<string, string>>;
}

interface Entry {
  readonly fingerprint: string;
  readonly startedMs: number;
  answer: KeptAnswer | null;
}

export type IdempotencyVerdict =
  | { readonly kind: 'first' }
  | { readonly kind: 'repeat'; readonly answer: KeptAnswer }
  /** The first request with this key is still under way. */
  | { readonly kind: 'under-way' }
  /** The key was used for something else. */
  | { readonly kind: 'mismatch' };

/** Remembers the answers to requests that carry an Idempotency-Key, so that a repeat after a lost answer changes nothing. */
export class IdempotencyMemory {
  readonly #entries = new Map<string, Entry>();
  readonly #capacity: number;
  readonly #keepMs: number;

  /** The defaults hold a day of bulk work of some clients in a few megabytes. */
  constructor({ capacity = 1_000, keepMs = 86_400_000 }: { capacity?: number; keepMs?: number } = {}) {
    this.#capacity = capacity;
    this.#keepMs = keepMs;
  }

  begin(key: string, request: string, nowMs: number): IdempotencyVerdict {
    const fingerprint = hash('sha256', request, 'hex');
    const entry = this.#entries.get(key);
    if (entry !== undefined && nowMs - entry.startedMs < this.#keepMs) {
      if (entry.fingerprint !== fingerprint) return { kind: 'mismatch' };
      return entry.answer === null ? { kind: 'under-way' } : { kind: 'repeat', answer: entry.answer };
    }
    this.#entries.delete(key);
    this.#entries.set(key, { fingerprint, startedMs: nowMs, answer: null });
    // The oldest goes first: a map keeps the order of insertion.
    while (this.#entries.size > this.#capacity) this.#entries.delete(this.#entries.keys().next().value ?? '');
    return { kind: 'first' };
  }

  /** Keeps the answer; one that failed on our side is forgotten, for the repeat is then to try anew. */
  finish(key: string, answer: KeptAnswer): void {
    const entry = this.#entries.get(key);
    if (entry === undefined) return;
    if (answer.status >= 500) this.#entries.delete(key);
    else entry.answer = answer;
  }
}
