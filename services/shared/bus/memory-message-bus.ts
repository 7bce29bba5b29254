import { AppError } from '#shared/core/errors';
import type { Message, MessageBus, OutgoingMessage, SubscribeOptions, Subscription, Topic } from './message-bus.ts';

export interface MemoryMessageBusOptions {
  /** Messages of one key that may wait for one group before publish() waits in its turn. Default 2: enough to keep a worker busy, too few to grow old. */
  readonly capacityPerKey?: number;
}

/** The bus of embedded mode: values are handed on as they are, nothing is copied or encoded, every queue is bounded. */
export function createMemoryMessageBus(options: MemoryMessageBusOptions = {}): MessageBus {
  return new MemoryMessageBus(options.capacityPerKey ?? 2);
}

type Handler = (message: Message<unknown>) => Promise<readonly OutgoingMessage[]>;

class MemoryMessageBus implements MessageBus {
  readonly #capacityPerKey: number;
  readonly #groups = new Map<string, Map<string, GroupQueue>>();
  #idleWaiters: (() => void)[] = [];
  #pending = 0;
  #closing: Promise<void> | undefined;

  constructor(capacityPerKey: number) {
    this.#capacityPerKey = capacityPerKey;
  }

  async publish<Value>(topic: Topic<Value>, message: Message<Value>): Promise<void> {
    if (this.#closing !== undefined) throw new AppError('SIGHTLINE_BUS_CLOSED', `cannot publish to ${topic.name}`);
    const groups = this.#groups.get(topic.name);
    if (groups === undefined) return;
    const waits: Promise<void>[] = [];
    for (const group of groups.values()) {
      const wait = group.offer(message);
      if (wait !== undefined) waits.push(wait);
    }
    if (waits.length > 0) await Promise.all(waits);
  }

  consume<Value>(
    topic: Topic<Value>,
    options: SubscribeOptions,
    handler: (message: Message<Value>) => Promise<void>,
  ): Promise<Subscription> {
    const silent = async (message: Message<unknown>): Promise<readonly OutgoingMessage[]> => {
      // The topic constant fixes the type of what was published to it: see Topic.valueType.
      await handler(message as Message<Value>);
      return [];
    };
    return this.#subscribe(topic, options, silent, 1);
  }

  process<Value>(
    topic: Topic<Value>,
    options: SubscribeOptions,
    handler: (message: Message<Value>) => Promise<readonly OutgoingMessage[]>,
  ): Promise<Subscription> {
    // The topic constant fixes the type of what was published to it: see Topic.valueType.
    return this.#subscribe(topic, options, handler as Handler, Infinity);
  }

  async idle(): Promise<void> {
    if (this.#pending === 0) return;
    await new Promise<void>((resolve) => this.#idleWaiters.push(resolve));
  }

  close(): Promise<void> {
    this.#closing ??= Promise.all(
      [...this.#groups.values()].flatMap((groups) => [...groups.values()].map((group) => group.close())),
    ).then(() => undefined);
    return this.#closing;
  }

  #subscribe(
    topic: Topic<unknown>,
    options: SubscribeOptions,
    handler: Handler,
    perKey: number,
  ): Promise<Subscription> {
    let groups = this.#groups.get(topic.name);
    if (groups === undefined) this.#groups.set(topic.name, (groups = new Map<string, GroupQueue>()));
    let group = groups.get(options.group);
    if (group === undefined) {
      group = new GroupQueue(this.#capacityPerKey, (change) => {
        this.#count(change);
      });
      groups.set(options.group, group);
    }
    const publishOutputs = async (outputs: readonly OutgoingMessage[]): Promise<void> => {
      for (const output of outputs) await this.publish(output.topic, { key: output.key, value: output.value });
    };
    return Promise.resolve(group.join(new Member(options.maxInFlight, perKey, handler, publishOutputs)));
  }

  #count(change: 1 | -1): void {
    this.#pending += change;
    if (this.#pending > 0) return;
    const waiters = this.#idleWaiters;
    this.#idleWaiters = [];
    for (const wake of waiters) wake();
  }
}

/** One subscriber of a group: how much it takes at once, and the first error that ended it. */
class Member implements Subscription {
  readonly failed: Promise<never>;
  readonly maxInFlight: number;
  readonly maxInFlightPerKey: number;
  readonly handler: Handler;
  readonly publishOutputs: (outputs: readonly OutgoingMessage[]) => Promise<void>;
  inFlight = 0;
  stopped = false;
  #rejectFailed: (reason: unknown) => void = () => undefined;
  #idleWaiters: (() => void)[] = [];

  constructor(maxInFlight: number, perKey: number, handler: Handler, publish: Member['publishOutputs']) {
    this.maxInFlight = maxInFlight;
    this.maxInFlightPerKey = perKey;
    this.handler = handler;
    this.publishOutputs = publish;
    this.failed = new Promise<never>((_, reject) => {
      this.#rejectFailed = reject;
    });
    // Whoever cares awaits `failed`; a subscription that nobody watches must not end the process by an unhandled rejection.
    this.failed.catch(() => undefined);
  }

  ended(): void {
    this.inFlight -= 1;
    if (this.inFlight > 0) return;
    for (const wake of this.#idleWaiters.splice(0)) wake();
  }

  fail(error: unknown): void {
    this.stopped = true;
    this.#rejectFailed(error);
  }

  async close(): Promise<void> {
    this.stopped = true;
    if (this.inFlight > 0) await new Promise<void>((resolve) => this.#idleWaiters.push(resolve));
  }
}

interface Waiting {
  readonly message: Message<unknown>;
  /** Set while the message stands outside the bounded queue: resolves the publisher's wait when it moves in. */
  readonly admitted: (() => void) | undefined;
}

/** The messages of one key that wait for one group, in order. */
class KeyQueue {
  readonly waiting: Waiting[] = [];
  inFlight = 0;
  /** Resolves when the outputs of the newest message taken have been published: the next message's outputs wait for it. */
  released: Promise<void> = Promise.resolve();
}

/** The bounded queues of one group on one topic. Keys with work take turns. */
class GroupQueue {
  readonly #capacityPerKey: number;
  readonly #count: (change: 1 | -1) => void;
  readonly #keys = new Map<string, KeyQueue>();
  /** Keys that have something waiting, in the order of their turns. */
  readonly #turns: string[] = [];
  readonly #members: Member[] = [];

  constructor(capacityPerKey: number, count: (change: 1 | -1) => void) {
    this.#capacityPerKey = capacityPerKey;
    this.#count = count;
  }

  join(member: Member): Subscription {
    this.#members.push(member);
    this.#dispatch();
    return member;
  }

  /** Takes the message; returns a promise to wait for where the key's queue is full. */
  offer(message: Message<unknown>): Promise<void> | undefined {
    let queue = this.#keys.get(message.key);
    if (queue === undefined) this.#keys.set(message.key, (queue = new KeyQueue()));
    this.#count(1);
    let wait: Promise<void> | undefined;
    let admitted: (() => void) | undefined;
    if (queue.waiting.length >= this.#capacityPerKey) {
      wait = new Promise<void>((resolve) => {
        admitted = resolve;
      });
    }
    if (queue.waiting.push({ message, admitted }) === 1) this.#turns.push(message.key);
    this.#dispatch();
    return wait;
  }

  async close(): Promise<void> {
    await Promise.all(this.#members.map((member) => member.close()));
    for (const queue of this.#keys.values()) {
      for (const { admitted } of queue.waiting.splice(0)) {
        admitted?.();
        this.#count(-1);
      }
    }
    this.#turns.length = 0;
  }

  #dispatch(): void {
    for (const member of this.#members) {
      let passed = 0;
      while (!member.stopped && member.inFlight < member.maxInFlight && passed < this.#turns.length) {
        const key = this.#turns.shift();
        const queue = key === undefined ? undefined : this.#keys.get(key);
        if (key === undefined || queue === undefined) break;
        if (queue.inFlight >= member.maxInFlightPerKey) {
          this.#turns.push(key);
          passed += 1;
          continue;
        }
        const next = queue.waiting.shift();
        if (queue.waiting.length > 0) this.#turns.push(key);
        queue.waiting[this.#capacityPerKey - 1]?.admitted?.();
        if (next !== undefined) void this.#handle(member, queue, next.message); // never rejects: an error ends the member
      }
    }
  }

  async #handle(member: Member, queue: KeyQueue, message: Message<unknown>): Promise<void> {
    member.inFlight += 1;
    queue.inFlight += 1;
    const before = queue.released;
    let release: () => void = () => undefined;
    queue.released = new Promise<void>((resolve) => {
      release = resolve;
    });
    try {
      const outputs = await member.handler(message);
      await before;
      if (outputs.length > 0) await member.publishOutputs(outputs);
    } catch (error) {
      member.fail(error);
    } finally {
      release();
      queue.inFlight -= 1;
      member.ended();
      this.#count(-1);
      this.#dispatch();
    }
  }
}
