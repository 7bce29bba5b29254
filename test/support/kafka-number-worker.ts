/**
 * A tiny worker for the fault tests, run as a process of its own: takes numbers, thinks for a few milliseconds and passes them on.
 * Settings come as JSON in the first argument. Prints one JSON line for each thing that happens to it.
 */
import { outgoing, type Topic } from '../../services/shared/bus/message-bus.ts';
import type { KafkaTuning } from '../../services/shared/bus/kafka/kafka-settings.ts';
import type { KafkaDriver } from '../../services/shared/bus/kafka/kafka-driver.ts';
import { toAppError } from '../../services/shared/core/errors.ts';
import { openTestBus, type KafkaClientName } from './kafka-buses.ts';

export interface NumberWorkerSettings {
  readonly client: KafkaClientName;
  readonly brokers: readonly string[];
  readonly delivery: 'exactly-once' | 'at-least-once';
  readonly input: string;
  readonly output: string;
  readonly group: string;
  readonly thinkMs: number;
  readonly maxInFlight: number;
  readonly tuning: Partial<KafkaTuning>;
  /** Without transactions: is killed when it is about to store a position for the n-th time, with the outputs written. */
  readonly diesAtPosition?: number;
}

export interface NumberedMessage {
  readonly number: number;
  /** Process that made it; 0 for the first one. */
  readonly by: number;
}

const say = (event: string, facts: object = {}): void => {
  process.stdout.write(`${JSON.stringify({ event, atMs: Date.now(), ...facts })}\n`);
};

const settings = JSON.parse(process.argv[2] ?? '{}') as NumberWorkerSettings;
const logger = {
  debug: () => undefined,
  info: (fields: object, text: string) => say('info', { text, fields: JSON.stringify(fields) }),
  warn: (fields: object, text: string) => say('warn', { text, error: String((fields as { err?: unknown }).err) }),
  error: (fields: object, text: string) => say('error', { text, error: String((fields as { err?: unknown }).err) }),
  child: () => logger,
};
/** The gap that transactions close, met for certain. */
function dyingAtPosition(driver: KafkaDriver, count: number): KafkaDriver {
  let left = count;
  return {
    ...driver,
    joinGroup: (options, events) =>
      driver.joinGroup(options, {
        ...events,
        assigned: (assignment, membership) => {
          const commit = membership.commit.bind(membership);
          membership.commit = async (...position) => {
            left -= 1;
            if (left === 0) process.kill(process.pid, 'SIGKILL');
            await commit(...position);
          };
          events.assigned(assignment, membership);
        },
      }),
  };
}

const { diesAtPosition } = settings;
const bus = openTestBus(settings.client, settings.brokers, {
  ...(diesAtPosition === undefined ? {} : { wrapDriver: (driver) => dyingAtPosition(driver, diesAtPosition) }),
  tuning: settings.tuning,
  delivery: settings.delivery,
  logger,
  connection: { clientId: `worker-${String(process.pid)}` },
});
const input: Topic<NumberedMessage> = { name: settings.input };
const output: Topic<NumberedMessage> = { name: settings.output };

process.once('SIGTERM', () => {
  say('stopping');
  void bus.close().then(
    () => {
      say('stopped');
      process.exit(0);
    },
    (error: unknown) => {
      say('stop-failed', { error: String(error) });
      process.exit(1);
    },
  );
});

const subscription = await bus.process(
  input,
  { group: settings.group, maxInFlight: settings.maxInFlight },
  async (message) => {
    await new Promise((resolve) => setTimeout(resolve, Math.random() * 2 * settings.thinkMs));
    return [outgoing(output, message.key, { number: message.value.number, by: process.pid })];
  },
);
say('ready');
subscription.failed.catch((thrown: unknown) => {
  const error = toAppError(thrown);
  say('failed', { code: error.code, message: error.message });
  // As a service does: what it held is another's by now.
  setTimeout(() => process.exit(1), 50);
});
