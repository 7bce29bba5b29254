import type { AccountingRecord, DropReason, LoadState } from '#schemas';

/** What happened since the frame handed on before: part of an AccountingRecord. */
interface Span {
  filtered: number;
  drops: Partial<Record<DropReason, number>>;
  decodeErrors: number;
}

/** A frame that is to be handed on, with what happened between the kept frame before it and itself. Only FrameAccounting looks inside. */
export interface KeptFrame {
  readonly frameSeq: number;
  readonly span: Span;
  /** Its neighbours among the kept frames that are not settled: when it is dropped its counts go to the next, or stay open. */
  previous: KeptFrame | null;
  next: KeptFrame | null;
}

export interface Rates {
  readonly targetFps: number;
  readonly effectiveFps: number;
}

/** The last frames of an epoch where none of them was handed on: they are told by a record of their own. */
export interface ClosingFrame {
  readonly frameSeq: number;
  readonly fate: 'filtered' | 'dropped';
  readonly accounting: AccountingRecord;
}

/**
 * Exact counts of one epoch. Every frame is received (and numbered from 1 without gaps), then filtered or kept; a kept one is handed on
 * or dropped. Kept frames are handed on in the order they came, so when one is, all before it are settled and its record accounts for
 * each of them: `frames_received = 1 + frames_filtered + frames_dropped_ingest`, and it is the difference of the two `frame_seq`.
 * They may be dropped in any order: the ring loses its oldest while the one before it is still under way.
 */
export class FrameAccounting {
  #lastReceivedSeq = 0;
  #lastHandedOnSeq = 0;
  #lastFate: 'filtered' | 'dropped' | 'kept' = 'kept';
  #newest: KeptFrame | null = null;
  #open: Span = emptySpan();
  #handedOn = 0;
  #filtered = 0;
  #dropped: Partial<Record<DropReason, number>> = {};
  #decodeErrors = 0;

  get lastReceivedSeq(): number {
    return this.#lastReceivedSeq;
  }

  get totals() {
    return {
      received: this.#lastReceivedSeq,
      handedOn: this.#handedOn,
      filtered: this.#filtered,
      dropped: this.#dropped as Readonly<Partial<Record<DropReason, number>>>,
      decodeErrors: this.#decodeErrors,
    };
  }

  noteDecodeErrors(count: number): void {
    this.#open.decodeErrors += count;
    this.#decodeErrors += count;
  }

  /** A frame came: it is filtered at once, and counted with the next one that is handed on. */
  filter(): number {
    this.#lastFate = 'filtered';
    this.#open.filtered++;
    this.#filtered++;
    return ++this.#lastReceivedSeq;
  }

  /** A frame came that is to be handed on. Its ticket must come back to `handedOn` or `drop`. */
  keep(): KeptFrame {
    this.#lastFate = 'kept';
    const kept: KeptFrame = { frameSeq: ++this.#lastReceivedSeq, span: this.#open, previous: this.#newest, next: null };
    if (this.#newest !== null) this.#newest.next = kept;
    this.#newest = kept;
    this.#open = emptySpan();
    return kept;
  }

  /** The kept frame will not be handed on: it and what it would have told go to the next one. */
  drop(kept: KeptFrame, reason: DropReason): void {
    const heir = kept.next?.span ?? this.#open;
    heir.filtered += kept.span.filtered;
    heir.decodeErrors += kept.span.decodeErrors;
    addCounts(heir.drops, kept.span.drops);
    addCounts(heir.drops, { [reason]: 1 });
    addCounts(this.#dropped, { [reason]: 1 });
    if (kept.frameSeq === this.#lastReceivedSeq) this.#lastFate = 'dropped';
    this.#forget(kept);
  }

  /** The record that goes with a kept frame. Does not settle it: only when it was accepted is it `handedOn`, else `drop`ped. */
  recordFor(kept: KeptFrame, rates: Rates): AccountingRecord {
    return this.#record(kept.frameSeq, kept.span, 1, rates);
  }

  handedOn(kept: KeptFrame): void {
    this.#lastHandedOnSeq = kept.frameSeq;
    this.#handedOn++;
    this.#forget(kept);
  }

  /** When the epoch is over and every kept frame settled: the record for frames that no later one tells of, or null where all are told. */
  close(rates: Rates): ClosingFrame | null {
    if (this.#lastReceivedSeq === this.#lastHandedOnSeq) return null;
    const accounting = this.#record(this.#lastReceivedSeq, this.#open, 0, rates);
    this.#lastHandedOnSeq = this.#lastReceivedSeq;
    this.#open = emptySpan();
    return {
      frameSeq: this.#lastReceivedSeq,
      fate: this.#lastFate === 'filtered' ? 'filtered' : 'dropped',
      accounting,
    };
  }

  #record(frameSeq: number, span: Span, analysed: number, rates: Rates): AccountingRecord {
    const dropped = sum(span.drops);
    const loadState: LoadState = dropped > 0 ? 'SHEDDING' : 'NORMAL';
    return {
      frames_received: frameSeq - this.#lastHandedOnSeq,
      frames_analysed: analysed,
      frames_filtered: span.filtered,
      frames_dropped_ingest: dropped,
      frames_dropped_deadline: 0,
      frames_failed: 0,
      drops_by_reason: { ...span.drops },
      decode_errors: span.decodeErrors,
      target_fps: rates.targetFps,
      effective_fps: rates.effectiveFps,
      load_state: loadState,
    };
  }

  #forget(kept: KeptFrame): void {
    if (kept.previous !== null) kept.previous.next = kept.next;
    if (kept.next === null) this.#newest = kept.previous;
    else kept.next.previous = kept.previous;
  }
}

function emptySpan(): Span {
  return { filtered: 0, drops: {}, decodeErrors: 0 };
}

function addCounts(
  into: Partial<Record<DropReason, number>>,
  counts: Readonly<Partial<Record<DropReason, number>>>,
): void {
  for (const [reason, count] of Object.entries(counts) as [DropReason, number][])
    into[reason] = (into[reason] ?? 0) + count;
}

function sum(counts: Readonly<Partial<Record<DropReason, number>>>): number {
  let total = 0;
  for (const count of Object.values(counts)) total += count;
  return total;
}
