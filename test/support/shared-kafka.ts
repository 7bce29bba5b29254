import type { TestProject } from 'vitest/node';
import { kafkaUnavailable, startKafka } from './kafka-server.ts';

declare module 'vitest' {
  interface ProvidedContext {
    /** Addresses of a running broker; empty where there can be none here, and the tests that need it are skipped. */
    readonly kafkaBrokers: readonly string[];
  }
}

/** Set-up of the test project `kafka`: one broker for all its files. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const reason = kafkaUnavailable();
  if (reason !== undefined) {
    process.stderr.write(`${reason}\n`);
    project.provide('kafkaBrokers', []);
    return () => Promise.resolve();
  }
  const server = await startKafka();
  project.provide('kafkaBrokers', server.brokers);
  return () => server.stop();
}
