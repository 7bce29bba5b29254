import { toAppError, type AppError } from '#shared/core/errors';
import type { Logger } from '#shared/core/logger';
import type { OutgoingRecord } from './kafka-driver.ts';
import type { PartitionLedger, ReadyPart } from './partition-ledger.ts';

export interface CommitBatch {
  readonly parts: readonly ReadyPart[];
  readonly outputs: readonly OutgoingRecord[];
  /** So much is waiting that the next batch may well be as large. */
  readonly isLarge: boolean;
}

export interface CommitLaneOptions {
  /** How long what is finished waits for more. */
  readonly lingerMs: number;
  /** Least time from the beginning of one commit to that of the next, unless much is waiting. */
  readonly spacingMs: number;
  /** The same while a partition is `behindRecords` behind and fewer than `togetherRecords` have been finished. */
  readonly catchUp: CatchUp | null;
  /** How long a lane that the group has turned away waits for word of a new assignment. */
  readonly assignmentTimeoutMs: number;
  /** How long a lane goes on taking over what another owner has taken from it, before it gives in. */
  readonly fencedTimeoutMs: number;
  readonly maxRecords: number;
  readonly maxBytes: number;
  /** Makes the batch final. A rejection leaves its outcome open. */
  commit(batch: CommitBatch): Promise<void>;
  /** After a failure: drops whatever may hold the failed attempt, and settles the ledgers up to what turns out to be committed. */
  recover(ledgers: readonly PartitionLedger[]): Promise<void>;
  committed(batch: CommitBatch): void;
  /** Another owner has fenced us: why we must not take over again, or undefined where we may. */
  mustYield(): AppError | undefined;
  fatal(error: AppError): void;
  readonly logger: Logger;
}

export interface CatchUp {
  readonly spacingMs: number;
  readonly behindRecords: number;
  readonly togetherRecords: number;
}

const maxTimesFenced = 6;

/** Commits the finished work of one or more partitions, one batch at a time, for as long as it takes. */
export class CommitLane {
  readonly #options: CommitLaneOptions;
  readonly #ledgers = new Set<PartitionLedger>();
  #timer: NodeJS.Timeout | undefined;
  #running: Promise<void> | undefined;
  #closed = false;
  #isDraining = false;
  #begunMs = -Infinity;
  /** Records finished since then. */
  #finished = 0;
  /** The timer was set for longer, as nobody is waiting for single results. */
  #isCatchingUp = false;
  /** Set where an attempt may have been committed or not: recover() finds out before the next one. */
  #uncertain = false;
  /** The group is being shared out anew; commits make sense again when that is over. */
  #waitsForAssignment = false;
  #timesFenced = 0;
  #assignments = 0;
  #graceTimer: NodeJS.Timeout | undefined;
  #wake: (() => void) | undefined;

  constructor(options: CommitLaneOptions) {
    this.#options = options;
  }

  add(ledger: PartitionLedger): void {
    this.#ledgers.add(ledger);
  }

  remove(ledger: PartitionLedger): void {
    this.#ledgers.delete(ledger);
  }

  /** A new assignment is in force. */
  reassigned(): void {
    this.#assignments += 1;
    this.#waitsForAssignment = false;
    clearTimeout(this.#graceTimer);
    this.#wake?.();
    this.#setTimer();
  }

  /** A record has been finished. */
  touch(): void {
    this.#finished += 1;
    if (this.#isCatchingUp && !this.#mayCatchUp()) this.#unsetTimer();
    this.#setTimer();
  }

  #setTimer(): void {
    if (this.#closed || this.#running !== undefined || this.#timer !== undefined || this.#waitsForAssignment) return;
    const { lingerMs, catchUp } = this.#options;
    this.#isCatchingUp = this.#mayCatchUp() && this.#isBehind();
    const spacingMs = (this.#isCatchingUp ? catchUp?.spacingMs : undefined) ?? this.#options.spacingMs;
    const dueMs = this.#begunMs + spacingMs;
    const delayMs = Math.max(lingerMs, dueMs - performance.now());
    this.#timer = setTimeout(() => {
      this.#unsetTimer();
      void this.#start(); // never rejects: failures end in fatal()
    }, delayMs);
  }

  #unsetTimer(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#isCatchingUp = false;
  }

  #mayCatchUp(): boolean {
    return this.#finished < (this.#options.catchUp?.togetherRecords ?? 0);
  }

  #isBehind(): boolean {
    for (const { lag } of this.#ledgers) if (lag >= (this.#options.catchUp?.behindRecords ?? Infinity)) return true;
    return false;
  }

  /** Commits what is finished now. Resolves without that where `deadlineMs` passes first. */
  async drain(deadlineMs: number): Promise<void> {
    this.#unsetTimer();
    this.#isDraining = true;
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, deadlineMs);
    });
    await Promise.race([late, this.#running === undefined ? this.#start() : this.#running.then(() => this.#start())]);
    clearTimeout(timer);
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#graceTimer);
    this.#unsetTimer();
    this.#wake?.();
  }

  #start(): Promise<void> {
    this.#running ??= this.#commitAll().finally(() => {
      this.#running = undefined;
      if (this.#collect() !== undefined) this.#setTimer();
    });
    return this.#running;
  }

  async #commitAll(): Promise<void> {
    let waitMs = 10;
    while (!this.#closed && !this.#waitsForAssignment) {
      const assignments = this.#assignments;
      try {
        if (this.#uncertain) {
          await this.#options.recover([...this.#ledgers]);
          this.#uncertain = false;
        }
        const batch = this.#collect();
        if (batch === undefined) return;
        this.#uncertain = true;
        this.#begunMs = performance.now();
        this.#finished = 0;
        await this.#options.commit(batch);
        this.#uncertain = false;
        this.#options.committed(batch);
        for (const part of batch.parts) part.ledger.settle(part.next);
        waitMs = 10;
        this.#timesFenced = 0;
        // What has been finished meanwhile waits for more, as touch() has it.
        if (!batch.isLarge && !this.#isDraining) return;
      } catch (thrown) {
        const error = toAppError(thrown);
        if (this.#isClosed()) return;
        if (error.code === 'SIGHTLINE_KAFKA_REBALANCED') {
          // The new assignment came while the attempt under the old one was on its way.
          if (assignments !== this.#assignments) continue;
          // Word of it is yet to come; without it we are no member any more.
          this.#waitsForAssignment = true;
          this.#graceTimer = setTimeout(() => this.#options.fatal(error), this.#options.assignmentTimeoutMs);
          return;
        }
        if (error.code === 'SIGHTLINE_KAFKA_FENCED') {
          // The new owner may be quicker to fence us than the group is to tell us, and a former one may have fenced us on its way out.
          // Taking over again is safe, as it reads first what has been committed; only it must not go on for ever.
          this.#timesFenced += 1;
          const reason = this.#options.mustYield() ?? (this.#timesFenced > maxTimesFenced ? error : undefined);
          if (reason !== undefined) {
            this.#options.fatal(reason);
            return;
          }
          await this.#sleep((this.#options.fencedTimeoutMs / maxTimesFenced) * (0.5 + Math.random()));
          continue;
        }
        if (!error.retryable) {
          this.#options.fatal(error);
          return;
        }
        this.#options.logger.warn({ err: error, waitMs }, 'commit failed, its outcome is looked up');
        await this.#sleep(waitMs);
        waitMs = Math.min(waitMs * 2, 1_000);
      }
    }
  }

  #isClosed(): boolean {
    return this.#closed;
  }

  #collect(): CommitBatch | undefined {
    const parts: ReadyPart[] = [];
    const outputs: OutgoingRecord[] = [];
    let bytes = 0;
    for (const ledger of this.#ledgers) {
      if (ledger.dropped || !ledger.started) continue;
      const part = ledger.ready(this.#options.maxRecords - outputs.length, this.#options.maxBytes - bytes);
      if (part === undefined) continue;
      parts.push(part);
      for (const entry of part.entries) {
        for (const output of entry.outputs) {
          outputs.push(output);
          bytes += (output.value?.length ?? 0) + 200;
        }
      }
      if (outputs.length >= this.#options.maxRecords || bytes >= this.#options.maxBytes) break;
    }
    const isLarge = outputs.length > this.#options.maxRecords / 2 || bytes > this.#options.maxBytes / 2;
    return parts.length === 0 ? undefined : { parts, outputs, isLarge };
  }

  async #sleep(delayMs: number): Promise<void> {
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, delayMs);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
    this.#wake = undefined;
  }
}
