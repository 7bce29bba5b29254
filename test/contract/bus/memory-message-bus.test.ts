import { expect, it, onTestFinished } from 'vitest';
import { createMemoryMessageBus } from '../../../services/shared/bus/memory-message-bus.ts';
import type { Topic } from '../../../services/shared/bus/message-bus.ts';
import { describeMessageBusContract } from './message-bus-contract.ts';

describeMessageBusContract('in memory', () => createMemoryMessageBus());

it('makes the publisher of a key wait while its reader is behind, and only that one', async () => {
  const bus = createMemoryMessageBus({ capacityPerKey: 2 });
  onTestFinished(() => bus.close());
  const topic: Topic<number> = { name: 'numbers' };
  let open: () => void = () => undefined;
  const gate = new Promise<void>((resolve) => {
    open = resolve;
  });
  await bus.consume(topic, { group: 'g', maxInFlight: 4 }, async (message) => {
    if (message.key === 'slow') await gate;
  });
  // One under way and two waiting: the fourth is the first that has to wait.
  for (const value of [1, 2, 3]) await bus.publish(topic, { key: 'slow', value });
  let accepted = false;
  const fourth = bus.publish(topic, { key: 'slow', value: 4 }).then(() => {
    accepted = true;
  });
  await bus.publish(topic, { key: 'quick', value: 1 });
  expect(accepted).toBe(false);
  open();
  await fourth;
  await bus.idle();
  expect(accepted).toBe(true);
});
