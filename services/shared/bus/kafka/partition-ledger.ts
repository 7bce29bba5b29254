import type { IncomingRecord, OutgoingRecord } from './kafka-driver.ts';

/** A record of an input partition on its way through this process. */
export interface LedgerEntry {
  readonly ledger: PartitionLedger;
  readonly record: IncomingRecord;
  readonly bytes: number;
  done: boolean;
  outputs: readonly OutgoingRecord[];
}

export interface ReadyPart {
  readonly ledger: PartitionLedger;
  readonly entries: readonly LedgerEntry[];
  /** Next offset to read once these are committed. */
  readonly next: bigint;
}

/**
 * What of one partition has been taken, finished and committed. Records may finish in any order; they are given out for committing in
 * the order of their offsets, so that outputs keep the order of inputs.
 */
export class PartitionLedger {
  readonly partition: number;
  /** True once the partition belongs to somebody else: nothing of it may be committed any more. */
  dropped = false;
  started = false;
  paused = false;
  highWatermark = 0n;
  #entries: LedgerEntry[] = [];
  #bytes = 0;
  /** Next offset that is new to us. */
  #next = 0n;
  /** Everything before it is committed or held nothing for us. */
  #committed = 0n;

  constructor(partition: number) {
    this.partition = partition;
  }

  start(offset: bigint): void {
    this.#next = offset;
    this.#committed = offset;
    this.started = true;
  }

  /** Takes over what was fetched; what we have already is passed over. */
  take(records: readonly IncomingRecord[], next: bigint): LedgerEntry[] {
    const taken: LedgerEntry[] = [];
    for (const record of records) {
      if (record.offset < this.#next) continue;
      const bytes = (record.value?.length ?? 0) + 200;
      taken.push({ ledger: this, record, bytes, done: false, outputs: [] });
      this.#bytes += bytes;
      this.#next = record.offset + 1n;
    }
    this.#entries.push(...taken);
    this.pass(next);
    return taken;
  }

  pass(next: bigint): void {
    if (!this.started || next <= this.#next) return;
    this.#next = next;
    if (this.#entries.length === 0) this.#committed = next;
  }

  /** The finished records at the front, as far as the limits allow; at least one. */
  ready(maxRecords: number, maxBytes: number): ReadyPart | undefined {
    const entries: LedgerEntry[] = [];
    let records = 0;
    let bytes = 0;
    for (const entry of this.#entries) {
      if (!entry.done) break;
      for (const output of entry.outputs) bytes += (output.value?.length ?? 0) + 200;
      records += entry.outputs.length;
      if (entries.length > 0 && (records > maxRecords || bytes > maxBytes)) break;
      entries.push(entry);
    }
    const last = entries.at(-1);
    return last === undefined ? undefined : { ledger: this, entries, next: last.record.offset + 1n };
  }

  /** Forgets everything before `next`, which is committed, by us or by another owner: what a late fetch brings of it is not new any more. */
  settle(next: bigint): void {
    let count = 0;
    for (const entry of this.#entries) {
      if (entry.record.offset >= next) break;
      this.#bytes -= entry.bytes;
      count += 1;
    }
    this.#entries.splice(0, count);
    if (next > this.#committed) this.#committed = next;
    if (next > this.#next) this.#next = next;
    if (this.#entries.length === 0 && this.#next > this.#committed) this.#committed = this.#next;
  }

  isFull(maxRecords: number, maxBytes: number): boolean {
    return this.#entries.length >= maxRecords || this.#bytes >= maxBytes;
  }

  /** The next offset that is new to us. */
  get next(): bigint {
    return this.#next;
  }

  get committed(): bigint {
    return this.#committed;
  }

  /** Everything before it has been handled, though perhaps not committed. */
  get handled(): bigint {
    const first = this.#entries.find((entry) => !entry.done);
    return first === undefined ? this.#next : first.record.offset;
  }

  /** Records that wait here or on the broker, as far as the last fetch knew. */
  get lag(): number {
    if (!this.started) return 0;
    const lag = Number(this.highWatermark - this.#committed);
    return lag > 0 ? lag : 0;
  }

  get oldestTimestampMs(): number | undefined {
    return this.#entries[0]?.record.timestampMs;
  }
}
