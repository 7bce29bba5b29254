import { describe, expect, it, onTestFinished } from 'vitest';
import { outgoing, type MessageBus, type Topic } from '../../../services/shared/bus/message-bus.ts';

let topicNumber = 0;

interface Gate {
  readonly opened: Promise<void>;
  open(): void;
}

function createGate(): Gate {
  let open: () => void = () => undefined;
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { opened, open };
}

export interface ContractOptions {
  /** Makes a topic where the bus does not do so by itself. */
  readonly createTopic?: (name: string) => Promise<void>;
}

/** What every MessageBus promises, whatever carries the messages. */
export function describeMessageBusContract(
  name: string,
  createBus: () => Promise<MessageBus> | MessageBus,
  options: ContractOptions = {},
): void {
  async function freshTopic(): Promise<Topic<number>> {
    topicNumber += 1;
    const topic = { name: `numbers-${String(process.pid)}-${String(topicNumber)}` };
    await options.createTopic?.(topic.name);
    return topic;
  }

  async function open(): Promise<MessageBus> {
    const bus = await createBus();
    onTestFinished(() => bus.close());
    return bus;
  }

  describe(`message bus: ${name}`, () => {
    it('hands the messages of one key to a consumer in the order of publishing', async () => {
      const bus = await open();
      const topic = await freshTopic();
      const seen: number[] = [];
      await bus.consume(topic, { group: 'g', maxInFlight: 8 }, (message) => {
        seen.push(message.value);
        return Promise.resolve();
      });
      for (let value = 0; value < 200; value += 1) await bus.publish(topic, { key: 'a', value });
      await bus.idle();
      expect(seen).toEqual(Array.from({ length: 200 }, (_, index) => index));
    });

    it('gives every group all messages', async () => {
      const bus = await open();
      const topic = await freshTopic();
      const seen: string[] = [];
      for (const group of ['one', 'two']) {
        await bus.consume(topic, { group, maxInFlight: 1 }, (message) => {
          seen.push(`${group}:${String(message.value)}`);
          return Promise.resolve();
        });
      }
      await bus.publish(topic, { key: 'a', value: 7 });
      await bus.idle();
      expect(seen.sort()).toEqual(['one:7', 'two:7']);
    });

    it('never runs two consumer calls of one key at once', async () => {
      const bus = await open();
      const topic = await freshTopic();
      let running = 0;
      let most = 0;
      await bus.consume(topic, { group: 'g', maxInFlight: 8 }, async () => {
        running += 1;
        most = Math.max(most, running);
        await Promise.resolve();
        await Promise.resolve();
        running -= 1;
      });
      await Promise.all(Array.from({ length: 50 }, (_, value) => bus.publish(topic, { key: 'a', value })));
      await bus.idle();
      expect(most).toBe(1);
    });

    it('publishes the outputs of one key in the order of its inputs, though a later one was ready first', async () => {
      const bus = await open();
      const [input, output] = [await freshTopic(), await freshTopic()];
      const seen: number[] = [];
      await bus.consume(output, { group: 'g', maxInFlight: 1 }, (message) => {
        seen.push(message.value);
        return Promise.resolve();
      });
      const first = createGate();
      const ended: number[] = [];
      await bus.process(input, { group: 'p', maxInFlight: 3 }, async (message) => {
        if (message.value === 0) await first.opened;
        ended.push(message.value);
        if (message.value === 2) first.open();
        return [outgoing(output, message.key, message.value)];
      });
      await Promise.all([0, 1, 2, 3].map((value) => bus.publish(input, { key: 'a', value })));
      await bus.idle();
      expect(ended.slice(0, 2)).toEqual([1, 2]);
      expect(seen).toEqual([0, 1, 2, 3]);
    });

    it('lets a waiting key pass a busy one', async () => {
      const bus = await open();
      const topic = await freshTopic();
      const gate = createGate();
      const seen: string[] = [];
      await bus.consume(topic, { group: 'g', maxInFlight: 2 }, async (message) => {
        if (message.key === 'busy') await gate.opened;
        seen.push(message.key);
        if (message.key === 'other') gate.open();
      });
      await Promise.all([
        bus.publish(topic, { key: 'busy', value: 1 }),
        bus.publish(topic, { key: 'busy', value: 2 }),
        bus.publish(topic, { key: 'other', value: 3 }),
      ]);
      await bus.idle();
      expect(seen).toEqual(['other', 'busy', 'busy']);
    });

    it('says so when a handler fails, and stops that subscription', async () => {
      const bus = await open();
      const topic = await freshTopic();
      const subscription = await bus.consume(topic, { group: 'g', maxInFlight: 1 }, () =>
        Promise.reject(new Error('handler broke')),
      );
      await bus.publish(topic, { key: 'a', value: 1 });
      await expect(subscription.failed).rejects.toThrow('handler broke');
    });

    it('ends handler calls under way before close() resolves, and refuses to publish afterwards', async () => {
      const bus = await open();
      const topic = await freshTopic();
      const [started, gate] = [createGate(), createGate()];
      let ended = false;
      await bus.consume(topic, { group: 'g', maxInFlight: 1 }, async () => {
        started.open();
        await gate.opened;
        ended = true;
      });
      await bus.publish(topic, { key: 'a', value: 1 });
      await started.opened;
      const closed = bus.close();
      gate.open();
      await closed;
      expect(ended).toBe(true);
      await expect(bus.publish(topic, { key: 'a', value: 2 })).rejects.toMatchObject({ code: 'SIGHTLINE_BUS_CLOSED' });
      expect(bus.close()).toBe(closed);
    });
  });
}
