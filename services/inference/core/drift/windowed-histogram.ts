import type { DriftHistogramRecord } from '#schemas';

/** The window moves on by this part of itself at a time. */
export const slotsOfWindow = 8;

/** Counts in bins over a window of time that moves on slot by slot, and those of the reference. */
export class WindowedHistogram {
  readonly reference: Uint32Array;
  readonly #bins: number;
  readonly #slots: Uint32Array;

  /** As `record` has it, where that has as many bins. */
  constructor(bins: number, record?: DriftHistogramRecord) {
    this.#bins = bins;
    this.reference = new Uint32Array(bins);
    this.#slots = new Uint32Array(bins * slotsOfWindow);
    if (record?.reference.length !== bins || record.slots.length !== this.#slots.length) return;
    this.reference.set(record.reference);
    this.#slots.set(record.slots);
  }

  add(slot: number, bin: number): void {
    const at = slot * this.#bins + Math.min(this.#bins - 1, Math.max(0, Math.floor(bin)));
    this.#slots[at] = (this.#slots[at] ?? 0) + 1;
  }

  /** Over all slots. */
  window(): Uint32Array {
    const sum = new Uint32Array(this.#bins);
    this.#slots.forEach((count, at) => {
      sum[at % this.#bins] = (sum[at % this.#bins] ?? 0) + count;
    });
    return sum;
  }

  clearSlot(slot: number): void {
    this.#slots.fill(0, slot * this.#bins, (slot + 1) * this.#bins);
  }

  /** What is in the window becomes the reference, and the window begins anew. */
  freeze(): void {
    this.reference.set(this.window());
    this.#slots.fill(0);
  }

  record(): DriftHistogramRecord {
    return { reference: [...this.reference], slots: [...this.#slots] };
  }
}
