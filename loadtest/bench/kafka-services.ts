import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { openTopicResults, type TopicPart } from '../../services/results/topic-results.ts';
import { schemaRegistryUnavailable, startSchemaRegistry } from '../../test/support/apicurio.ts';
import { createTestTopics, openTestBus } from '../../test/support/kafka-buses.ts';
import { kafkaUnavailable, startKafka } from '../../test/support/kafka-server.ts';
import type { BenchSettings } from './limit.ts';
import { endedChildrenMs, measureCommand, startCommand, type StartedCommand } from './measure-cpu.ts';

export interface KafkaAddresses {
  readonly brokers: readonly string[];
  readonly registryUrl: string;
}

export interface KafkaServers extends KafkaAddresses {
  stop(): Promise<void>;
}

/** A broker and a registry for this bench alone, or those of KAFKA_BROKERS and SCHEMA_REGISTRY_URL. */
export async function startServers(): Promise<KafkaServers> {
  const lacking = [kafkaUnavailable(), schemaRegistryUnavailable()].find((reason) => reason !== undefined);
  if (lacking !== undefined) throw new Error(`no Kafka to measure with: ${lacking.slice(lacking.indexOf(': ') + 2)}`);
  const kafka = await startKafka();
  try {
    const registry = await startSchemaRegistry();
    return {
      brokers: kafka.brokers,
      registryUrl: registry.url,
      stop: async () => {
        await Promise.all([kafka.stop(), registry.stop()]);
      },
    };
  } catch (error) {
    await kafka.stop();
    throw error;
  }
}

export interface ServicesRun {
  readonly frames: number;
  /** The ingest process and its ffmpeg. */
  readonly ingestMs: number;
  readonly inferenceMs: number;
}

/** No clip should take so long; something hangs. */
const limitMs = 20 * 60_000;
let runs = 0;

/** A name for topics of one run: many runs share a broker. */
function freshPrefix(): string {
  runs += 1;
  return `bench-${process.pid}-${runs}`;
}

/** The real services on fresh topics, from their start until each frame of each camera has its record and both were told to stop. */
export async function runServices(
  { root, work, ffmpeg, model, inputShape, fps }: BenchSettings,
  { brokers, registryUrl }: KafkaAddresses,
  clip: string,
  cameras = 1,
): Promise<ServicesRun> {
  const prefix = freshPrefix();
  const configFile = path.join(work, `${prefix}.yaml`);
  // A file that is not played in real time: ingest waits where Kafka is behind, and no frame is dropped or too old.
  const camera = { url: path.resolve(clip), realtime: false, fps };
  const names = Array.from({ length: cameras }, (_, index) => `bench-${index + 1}`);
  writeFileSync(configFile, JSON.stringify({ cameras: Object.fromEntries(names.map((name) => [name, camera])) }));
  const environment = {
    KAFKA_BROKERS: brokers.join(','),
    SCHEMA_REGISTRY_URL: registryUrl,
    SIGHTLINE_TOPICS_PREFIX: prefix,
    SIGHTLINE_TOPICS_PARTITIONS: '1',
    SIGHTLINE_STATE_DIR: work,
    SIGHTLINE_FFMPEG: ffmpeg,
    SIGHTLINE_INPUT_SHAPE: inputShape,
    // Under npm a signal is expected twice; here it comes once.
    npm_lifecycle_event: undefined,
  };
  const service = ['service', '--config', configFile, '--log-level', 'error'];
  const args = (name: string, ...more: readonly string[]): string[] => [
    path.join(root, 'cli/bin.mjs'),
    ...service.toSpliced(1, 0, name),
    ...more,
  ];
  const ofModel = ['--model', model.manifestPath, '--models-dir', path.dirname(model.modelPath)];
  await measureCommand(process.execPath, args('init'), environment);

  const inference = startCommand(process.execPath, args('inference', ...ofModel, '--threads', '1'), environment);
  const ingest = startCommand(process.execPath, args('ingest', ...ofModel), environment);
  try {
    const frames = await countedWhileRunning({ brokers, registryUrl }, prefix, names, [inference, ingest]);
    // One after the other, so that the account of ended children tells them apart.
    return { frames, ingestMs: await stopMeasured(ingest), inferenceMs: await stopMeasured(inference) };
  } finally {
    for (const { child } of [ingest, inference]) child.kill('SIGKILL');
  }
}

async function stopMeasured(service: StartedCommand): Promise<number> {
  const before = endedChildrenMs();
  service.child.kill('SIGTERM');
  await service.ended;
  return endedChildrenMs() - before;
}

async function countedWhileRunning(
  servers: KafkaAddresses,
  prefix: string,
  cameras: readonly string[],
  services: readonly StartedCommand[],
): Promise<number> {
  const failed = new AbortController();
  const tooEarly = Promise.race(services.map(({ ended }) => ended)).then(() => {
    throw new Error('a service ended before it was told to');
  });
  try {
    return await Promise.race([countRecords(servers, prefix, cameras, failed.signal), tooEarly]);
  } finally {
    failed.abort();
  }
}

/** Resolves with the number of frames when the cameras have told their ends and each of their frames has been analysed. */
async function countRecords(
  { brokers, registryUrl }: KafkaAddresses,
  prefix: string,
  cameras: readonly string[],
  given: AbortSignal,
): Promise<number> {
  const topics = { brokers, registryUrl, prefix, partitions: 1, replicationFactor: 1 };
  const results = await openTopicResults(topics, {}, {});
  const done = new AbortController();
  /** The end of a camera tells how many frames it had. */
  const frames = new Map<string, number>();
  let analysed = 0;
  const expected = (): number =>
    frames.size < cameras.length ? Infinity : [...frames.values()].reduce((sum, count) => sum + count, 0);
  try {
    await results.follow(
      async (part) => {
        analysed += countAnalysed(part);
        for (const { camera, count } of endsIn(part)) frames.set(camera, count);
        if (analysed >= expected()) done.abort();
      },
      AbortSignal.any([done.signal, given, AbortSignal.timeout(limitMs)]),
    );
  } finally {
    await results.close();
  }
  if (analysed !== expected()) {
    throw new Error(`${analysed} of ${expected()} frames were analysed within ${limitMs / 60_000} minutes`);
  }
  return analysed;
}

function countAnalysed(part: TopicPart): number {
  if (part.kind === 'undecodable') throw new Error(`a record of ${part.file} cannot be read: ${part.reason}`);
  if (part.schema === 'camera-status') return 0;
  const other = part.records.find(({ decision }) => decision !== 'ANALYSED');
  if (other !== undefined) throw new Error(`frame ${other.header.frame_seq} was not analysed: ${other.decision}`);
  return part.records.length;
}

function endsIn(part: TopicPart): { readonly camera: string; readonly count: number }[] {
  if (part.kind === 'undecodable' || part.schema !== 'camera-status') return [];
  const ends = part.records.filter(({ state }) => state === 'ENDED' || state === 'REJECTED');
  const bad = ends.find(({ reason_code: code }) => code !== 'END_OF_STREAM');
  if (bad !== undefined) throw new Error(`the camera: ${bad.reason_text}`);
  return ends.map(({ camera_id: camera, frame_seq: count }) => ({ camera, count }));
}

/** CPU milliseconds of both programs by hand on fresh topics. */
export async function runByHand(
  { model, fps }: BenchSettings,
  python: string,
  brokers: readonly string[],
  clip: string,
): Promise<number> {
  const prefix = freshPrefix();
  const [frames, results] = [`${prefix}.by-hand-frames`, `${prefix}.by-hand-results`];
  const bus = openTestBus('platformatic', brokers);
  try {
    await createTestTopics(bus, [frames, results], 1);
  } finally {
    await bus.close();
  }
  const script = fileURLToPath(new URL('by_hand_kafka.py', import.meta.url));
  const before = endedChildrenMs();
  const start = (...args: readonly string[]): StartedCommand => startCommand(python, [script, ...args]);
  const programs = [
    start('detect', brokers.join(','), frames, results, model.modelPath),
    start('send', brokers.join(','), frames, clip, String(fps)),
  ];
  try {
    await Promise.all(programs.map(({ ended }) => ended));
  } finally {
    for (const { child } of programs) child.kill('SIGKILL');
  }
  return endedChildrenMs() - before;
}
