/**
 * The road between services. Two adapters keep to one contract suite: in memory (embedded mode) and Kafka.
 * Messages of one key are handled in the order in which they were published; nothing is promised across keys.
 */

/** A named stream of one kind of value. The type travels with the constant that holds it, so that no caller casts. */
export interface Topic<Value> {
  readonly name: string;
  /** Never set: it only carries the type. */
  readonly valueType?: Value;
}

export interface Message<Value> {
  /** Order holds within a key; on our topics it is the camera id. */
  readonly key: string;
  readonly value: Value;
}

/** A message together with the topic that it is meant for, its value's type checked by `outgoing`. */
export interface OutgoingMessage {
  readonly topic: Topic<unknown>;
  readonly key: string;
  readonly value: unknown;
}

export function outgoing<Value>(topic: Topic<Value>, key: string, value: Value): OutgoingMessage {
  return { topic, key, value };
}

export interface SubscribeOptions {
  /** Members of one group share the messages; every group sees all of them. */
  readonly group: string;
  /** Most handler calls under way at once. Keys take turns, so that one busy camera cannot keep the others waiting. */
  readonly maxInFlight: number;
}

export interface Subscription {
  /** Rejects with the first error of the handler or of the transport; the subscription has then stopped. Never resolves. */
  readonly failed: Promise<never>;
  /** Stops taking messages and resolves when the handler calls under way have ended. May be called twice. */
  close(): Promise<void>;
}

export interface MessageBus {
  /** Resolves when the bus has taken the message over; waits while the readers of its key are too far behind. Rejects after close(). */
  publish<Value>(topic: Topic<Value>, message: Message<Value>): Promise<void>;
  /** Calls `handler` for each message, one at a time per key. */
  consume<Value>(
    topic: Topic<Value>,
    options: SubscribeOptions,
    handler: (message: Message<Value>) => Promise<void>,
  ): Promise<Subscription>;
  /**
   * Consume, process, produce: what the handler returns is published, and the message counted as done, in one step.
   * Handler calls of one key may overlap; their outputs appear in the order of the inputs all the same.
   */
  process<Value>(
    topic: Topic<Value>,
    options: SubscribeOptions,
    handler: (message: Message<Value>) => Promise<readonly OutgoingMessage[]>,
  ): Promise<Subscription>;
  /** Resolves when every message published so far has been handled by every group. */
  idle(): Promise<void>;
  close(): Promise<void>;
}
