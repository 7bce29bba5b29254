/** Packets that may wait for a missing one, and for how long: a picture of a 4K camera is some hundred packets in a few milliseconds. */
export interface ReorderLimits {
  readonly maxPackets: number;
  readonly maxWaitMs: number;
}

export const defaultReorderLimits: ReorderLimits = { maxPackets: 128, maxWaitMs: 60 };

interface Waiting {
  readonly sequence: number;
  readonly packet: Buffer;
  readonly sinceMs: number;
}

/** Puts UDP packets back into the order of their RTP sequence. Pure: the caller brings the time. */
export class ReorderBuffer {
  readonly #limits: ReorderLimits;
  readonly #emit: (packet: Buffer) => void;
  #waiting: Waiting[] = [];
  #next: number | null = null;
  #reordered = 0;

  constructor(emit: (packet: Buffer) => void, limits: ReorderLimits = defaultReorderLimits) {
    this.#emit = emit;
    this.#limits = limits;
  }

  get packetsReordered(): number {
    return this.#reordered;
  }

  get isWaiting(): boolean {
    return this.#waiting.length > 0;
  }

  push(sequence: number, packet: Buffer, nowMs: number): void {
    const ahead = this.#next === null ? 0 : distance(this.#next, sequence);
    if (ahead === 0 && this.#waiting.length === 0) {
      this.#pass(sequence, packet);
      return;
    }
    // Its turn is over (its gap was given up, or it is a repeat), unless the camera started over with other numbers.
    if (ahead < 0 && ahead > -1000) return;
    if (Math.abs(ahead) >= 1000) {
      this.#releaseAll();
      this.#pass(sequence, packet);
      return;
    }
    this.#insert({ sequence, packet, sinceMs: nowMs });
    this.#release(nowMs);
  }

  /** Gives up gaps that were waited for long enough. */
  expire(nowMs: number): void {
    this.#release(nowMs);
  }

  #insert(arrival: Waiting): void {
    let index = this.#waiting.length;
    while (index > 0) {
      const before = this.#waiting[index - 1];
      if (before === undefined || distance(before.sequence, arrival.sequence) > 0) break;
      if (before.sequence === arrival.sequence) return;
      index -= 1;
    }
    if (index < this.#waiting.length || arrival.sequence === this.#next) this.#reordered += 1;
    this.#waiting.splice(index, 0, arrival);
  }

  #release(nowMs: number): void {
    for (let first = this.#waiting[0]; first !== undefined; first = this.#waiting[0]) {
      const isNext = first.sequence === this.#next;
      const isOverdue =
        this.#waiting.length > this.#limits.maxPackets ||
        this.#waiting.some(({ sinceMs }) => nowMs - sinceMs >= this.#limits.maxWaitMs);
      if (!isNext && !isOverdue) return;
      this.#waiting.shift();
      this.#pass(first.sequence, first.packet);
    }
  }

  #releaseAll(): void {
    for (const { sequence, packet } of this.#waiting.splice(0)) this.#pass(sequence, packet);
  }

  #pass(sequence: number, packet: Buffer): void {
    this.#next = (sequence + 1) & 0xffff;
    this.#emit(packet);
  }
}

/** How far `to` is ahead of `from` on the circle of 2^16; negative when behind. */
function distance(from: number, to: number): number {
  return ((to - from) << 16) >> 16;
}
