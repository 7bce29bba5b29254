import type { LedgerEntry } from './partition-ledger.ts';
import { priorityHeader } from './serde.ts';

interface KeyQueue {
  readonly waiting: LedgerEntry[];
  inFlight: number;
  /** Records that this key may still have handled in its turn. */
  credit: number;
}

/**
 * Chooses which record is handled next: keys take turns, so that one busy camera cannot keep the others waiting. A turn is as many records
 * as the key's priority says: every record costs about the same, so this is deficit round robin.
 */
export class KeyTurns {
  readonly #perKey: number;
  readonly #keys = new Map<string, KeyQueue>();
  /** Keys that have something waiting, in the order of their turns. */
  readonly #turns: string[] = [];

  constructor(perKey: number) {
    this.#perKey = perKey;
  }

  add(entry: LedgerEntry): void {
    const key = keyOf(entry);
    let queue = this.#keys.get(key);
    if (queue === undefined) this.#keys.set(key, (queue = { waiting: [], inFlight: 0, credit: 0 }));
    if (queue.waiting.push(entry) === 1) this.#turns.push(key);
  }

  /** The next record to handle, or undefined where every waiting key is busy. */
  next(): LedgerEntry | undefined {
    for (let passed = this.#turns.length; passed > 0; passed -= 1) {
      const key = this.#turns.shift();
      const queue = key === undefined ? undefined : this.#keys.get(key);
      if (key === undefined || queue === undefined) return undefined;
      if (queue.inFlight >= this.#perKey) {
        queue.credit = 0;
        this.#turns.push(key);
        continue;
      }
      const entry = queue.waiting.shift();
      if (entry === undefined) continue;
      queue.credit = (queue.credit === 0 ? priorityOf(entry) : queue.credit) - 1;
      if (queue.waiting.length === 0) queue.credit = 0;
      else if (queue.credit > 0) this.#turns.unshift(key);
      else this.#turns.push(key);
      queue.inFlight += 1;
      return entry;
    }
    return undefined;
  }

  /** The record taken by next() has been handled. */
  ended(entry: LedgerEntry): void {
    const key = keyOf(entry);
    const queue = this.#keys.get(key);
    if (queue === undefined) return;
    queue.inFlight -= 1;
    if (queue.inFlight === 0 && queue.waiting.length === 0) this.#keys.delete(key);
  }

  /** Forgets the records that wait; those under way go on. */
  dropWaiting(matches: (entry: LedgerEntry) => boolean): void {
    for (const [key, queue] of this.#keys) {
      const kept = queue.waiting.filter((entry) => !matches(entry));
      queue.waiting.splice(0, queue.waiting.length, ...kept);
      if (kept.length > 0) continue;
      const turn = this.#turns.indexOf(key);
      if (turn >= 0) this.#turns.splice(turn, 1);
      if (queue.inFlight === 0) this.#keys.delete(key);
    }
  }
}

const highestPriority = 10;

function priorityOf(entry: LedgerEntry): number {
  const header = entry.record.headers[priorityHeader];
  if (header === undefined) return 1;
  const priority = Math.trunc(Number(header));
  return priority >= 1 ? Math.min(priority, highestPriority) : 1;
}

/** Records without a key have an order within their partition only. */
function keyOf(entry: LedgerEntry): string {
  return entry.record.key ?? `\u0000${String(entry.ledger.partition)}`;
}
