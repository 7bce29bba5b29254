import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { expect } from 'vitest';
import type { VerifyReport } from '../../services/results/core/verify.ts';
import type { DetectionFrame } from '../../schemas/index.ts';
import { prepareRun, until, type E2eRun } from './e2e-run.ts';
import { openTestBus } from './kafka-buses.ts';
import { runSightline, startSightline, type RunningSightline } from './run-sightline.ts';

export interface ServiceProcesses {
  readonly prefix: string;
  readonly run: E2eRun;
  init(): Promise<void>;
  start(name: 'control' | 'ingest' | 'inference', environment?: Readonly<Record<string, string>>): RunningSightline;
  /** `sightline …` on these topics; gives what it printed. */
  command(...args: readonly string[]): Promise<string>;
  /** `sightline camera …` on these topics. */
  camera(...args: readonly string[]): Promise<void>;
  /** The cameras of every ingest that is started from now on. */
  configure(cameras: Readonly<Record<string, object>>): Promise<void>;
  /** End offsets of detections, added up; grows with every transaction. */
  written(): Promise<number>;
  /** Waits until so much more has been written. */
  untilWritten(more: number): Promise<void>;
  verify(): Promise<VerifyReport>;
  detections(): Promise<readonly DetectionFrame[]>;
}

/** The services as processes, with topics of their own on a broker that may be shared. */
export async function prepareServices(
  prefix: string,
  { brokers, registryUrl }: { readonly brokers: readonly string[]; readonly registryUrl: string },
): Promise<ServiceProcesses> {
  const run = await prepareRun();
  const configFile = path.join(run.directory, 'services.yaml');
  const resultsUrl = `kafka://${brokers.join(',')}/?registry=${registryUrl}&prefix=${prefix}`;
  const environment = {
    ...run.environment,
    KAFKA_BROKERS: brokers.join(','),
    SCHEMA_REGISTRY_URL: registryUrl,
    SIGHTLINE_TOPICS_PREFIX: prefix,
    SIGHTLINE_TOPICS_PARTITIONS: '3',
    SIGHTLINE_SESSION_TIMEOUT_S: '1.5',
    SIGHTLINE_LOG_FORMAT: 'json',
    SIGHTLINE_MODEL: run.model,
    SIGHTLINE_STATE_DIR: run.stateDir,
    SIGHTLINE_HTTP_PORT: '0',
  };
  await writeFile(configFile, '{}');
  const written = async (): Promise<number> => {
    const bus = openTestBus('platformatic', brokers);
    try {
      const offsets = await bus.admin.offsets(`${prefix}.detections`);
      return [...offsets.values()].reduce((sum, { end }) => sum + Number(end), 0);
    } finally {
      await bus.close();
    }
  };
  const command = async (...args: readonly string[]): Promise<string> => {
    const ended = await runSightline(args, environment);
    expect(ended, ended.stderr).toMatchObject({ code: 0 });
    return ended.stdout;
  };
  return {
    prefix,
    run,
    async init() {
      const ended = await runSightline(['service', 'init'], environment);
      expect(ended, ended.stderr).toMatchObject({ code: 0 });
    },
    command,
    async camera(...args) {
      await command('camera', ...args);
    },
    start: (name, more = {}) => startSightline(['service', name, '--config', configFile], { ...environment, ...more }),
    configure: (cameras) => writeFile(configFile, JSON.stringify({ cameras })),
    written,
    async untilWritten(more) {
      const before = await written();
      await until(written, (now) => now >= before + more);
    },
    async verify() {
      const ended = await runSightline(['results', 'verify', '--json', resultsUrl]);
      // What the command prints with --json.
      return JSON.parse(ended.stdout) as VerifyReport;
    },
    async detections() {
      const ended = await runSightline(['results', 'cat', resultsUrl]);
      expect(ended, ended.stderr).toMatchObject({ code: 0 });
      const lines = ended.stdout.split('\n').filter((line) => line !== '');
      // JSON lines of our own records.
      return lines.map((line) => JSON.parse(line) as DetectionFrame).filter((record) => 'header' in record);
    },
  };
}

/** The address of a service's health server, once it has said it. */
export async function healthUrl(service: RunningSightline): Promise<string> {
  await service.untilStderr(/"url":"[^"]+"/);
  return /"url":"([^"]+)"/.exec(service.output().stderr)?.[1] ?? '';
}

export async function readiness(service: RunningSightline): Promise<{ ready: boolean; reason?: string }> {
  const answer = await fetch(`${await healthUrl(service)}/readyz`);
  // The body of our own route.
  return (await answer.json()) as { ready: boolean; reason?: string };
}

/** Told to stop, it ends well. */
export async function stopService(service: RunningSightline): Promise<void> {
  service.child.kill('SIGINT');
  const ended = await service.finished;
  expect(ended, ended.stderr).toMatchObject({ code: 0 });
}
