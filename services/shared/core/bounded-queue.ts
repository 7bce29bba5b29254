export interface BoundedQueueOptions {
  readonly name: string;
  readonly capacity: number;
  /** What gives way when a new item comes and there is no room: the oldest one waiting, or the new one. */
  readonly whenFull: 'drop-oldest' | 'reject';
}

/** A first-in-first-out queue that never grows beyond its capacity. What had to give way comes back to the caller, who counts it. */
export class BoundedQueue<T> {
  readonly name: string;
  readonly capacity: number;
  readonly #dropOldest: boolean;
  readonly #slots: (T | undefined)[];
  #head = 0;
  #size = 0;

  constructor(options: BoundedQueueOptions) {
    if (!Number.isInteger(options.capacity) || options.capacity < 1) {
      throw new RangeError(`queue ${options.name} needs a capacity of at least 1`);
    }
    this.name = options.name;
    this.capacity = options.capacity;
    this.#dropOldest = options.whenFull === 'drop-oldest';
    this.#slots = new Array<T | undefined>(options.capacity);
  }

  get size(): number {
    return this.#size;
  }

  get isFull(): boolean {
    return this.#size === this.capacity;
  }

  /** Queues the item. Returns what there was no room for: the oldest one or the item itself, by `whenFull`; undefined where all fits. */
  offer(item: T): T | undefined {
    let displaced: T | undefined;
    if (this.isFull) {
      if (!this.#dropOldest) return item;
      displaced = this.take();
    }
    this.#slots[(this.#head + this.#size) % this.capacity] = item;
    this.#size++;
    return displaced;
  }

  /** The oldest item, or undefined where there is none. */
  take(): T | undefined {
    if (this.#size === 0) return undefined;
    const item = this.#slots[this.#head];
    this.#slots[this.#head] = undefined;
    this.#head = (this.#head + 1) % this.capacity;
    this.#size--;
    return item;
  }
}
