import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, inject, onTestFinished, test } from 'vitest';
import { schemaRegistryUnavailable, startSchemaRegistry, type SchemaRegistryServer } from '../../support/apicurio.ts';
import { installExamples, type ExampleConsumer } from '../../support/example-consumers.ts';
import { makeDetectionFrame, makeObject, makeOtherFate } from '../../support/result-records.ts';
import { writeToTopics } from '../../support/topic-records.ts';

const brokers = inject('kafkaBrokers');
const reason = schemaRegistryUnavailable();
if (reason !== undefined) process.stderr.write(`${reason}\n`);

let registry: SchemaRegistryServer;
let consumers: readonly ExampleConsumer[];

/** Starts a consumer; gives what it has printed so far. It is ended with the test. */
function start(command: readonly string[]): () => { readonly stdout: string; readonly stderr: string } {
  const [program = '', ...args] = command;
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  onTestFinished(async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const closed = once(child, 'close');
    child.kill('SIGKILL');
    await closed;
  });
  let [stdout, stderr] = ['', ''];
  child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
  return () => ({ stdout, stderr: child.exitCode === null ? '' : `it ended: ${stderr}` });
}

describe.skipIf(brokers.length === 0 || reason !== undefined)('the example consumers', () => {
  beforeAll(async () => {
    [registry, consumers] = await Promise.all([startSchemaRegistry(), installExamples()]);
  }, 300_000);
  afterAll(() => registry.stop());

  test.for(['python', 'node', 'java'] as const)(
    'in %s prints the boxes of what comes, each result once',
    async (name, { skip }) => {
      const consumer = consumers.find((one) => one.name === name);
      if (consumer === undefined) return skip('its packages cannot be had here');
      const prefix = `example-${name}-${String(process.pid)}`;
      const url = `kafka://${brokers.join(',')}/?registry=${registry.url}&prefix=${prefix}`;
      const two = makeDetectionFrame({
        header: { frame_seq: 2 },
        record: { objects: [makeObject(), makeObject({ class_name: 'car', confidence: 0.5 })] },
      });
      await writeToTopics(url, [makeDetectionFrame(), two, two, makeOtherFate('EXPIRED', { frame_seq: 3 })]);
      const registryUrl = registry.url.replace('/apis/ccompat/v7', consumer.registryPath);
      const output = start([...consumer.command, brokers.join(','), registryUrl, `${prefix}.detections`]);
      const seen = { timeout: 40_000, interval: 100 };
      const box = '0.125 0.250 0.063 0.500'; // 0.0625 is rounded to even by some
      const evenBox = '0.125 0.250 0.062 0.500';
      const lines = (): string[] => output().stdout.replaceAll(evenBox, box).trim().split('\n');
      const first = [`gate 1 person 0.88 ${box}`, `gate 2 person 0.88 ${box}`, `gate 2 car 0.50 ${box}`];
      await expect.poll(() => [...lines(), output().stderr], seen).toEqual([...first, '']);
      // What was already printed and comes again, as from a writer that did not know what had become of it.
      await writeToTopics(url, [two, makeDetectionFrame({ header: { frame_seq: 4 } })]);
      await expect.poll(lines, seen).toEqual([...first, `gate 4 person 0.88 ${box}`]);
    },
  );

  test.each(['python/consumer.py', 'node/consumer.mjs', 'java/Consumer.java'])('%s has at most 30 lines', (file) => {
    const text = readFileSync(new URL(`../../../examples/${file}`, import.meta.url), 'utf8');
    expect(text.trimEnd().split('\n').length).toBeLessThanOrEqual(30);
  });
});
