import { InvalidArgumentError, type Command } from 'commander';
import type { ServiceRequest } from '../service/service-settings.ts';

interface ServiceFlags {
  readonly config?: string;
  readonly brokers?: string;
  readonly registry?: string;
  readonly prefix?: string;
  readonly httpPort?: number;
  readonly httpHost?: string;
  readonly logLevel?: string;
  readonly logFormat?: string;
  readonly model?: string;
  readonly modelsDir?: string;
  readonly threads?: number;
  readonly partitions?: number;
  readonly replication?: number;
}

const help = `
Settings come from --config FILE.yaml, over it the environment, over it the flags; docs/distributed.md lists them. KAFKA_BROKERS and
SCHEMA_REGISTRY_URL say where Kafka and the registry are; KAFKA_TLS*, KAFKA_SASL_* and SCHEMA_REGISTRY_USERNAME how to sign in. What a
service needs and is not there yet it waits for, and says so on /readyz.
`;

/** `sightline service`: the parts of the pipeline as processes of their own, with Kafka between them. */
export function registerServiceCommands(program: Command): void {
  const service = program
    .command('service')
    .description('run one part of the pipeline as a process of its own, with Kafka between the parts');
  common(
    service.command('init').description('make topics and register schemas, then end; changes nothing that is there'),
  )
    .option('--partitions <n>', 'partitions of frames and detections (default: 12)', number)
    .option('--replication <n>', 'copies of each record (default: 1; 3 on a cluster)', number)
    .action(async (flags: ServiceFlags) => {
      await (await import('../service/run-init.ts')).runInit(requestOf(flags));
    });
  common(
    service
      .command('control')
      .description('serve the API and the page of an installation: cameras, their state, live results'),
  ).action(async (flags: ServiceFlags) => {
    await (await import('../service/control.ts')).runControl(requestOf(flags));
  });
  withModel(
    common(service.command('ingest').description('read cameras, write frames; shares the cameras with other ingests')),
  ).action(async (flags: ServiceFlags) => {
    await (await import('../service/ingest.ts')).runIngest(requestOf(flags));
  });
  withModel(
    common(
      service
        .command('inference')
        .description('read frames, write detections; shares the cameras with other inferences'),
    ),
  )
    .option('--threads <n>', 'frames inferred at once (default: processors less one)', number)
    .action(async (flags: ServiceFlags) => {
      await (await import('../service/inference.ts')).runInference(requestOf(flags));
    });
}

function common(command: Command): Command {
  return command
    .option('--config <file.yaml>', 'settings and cameras from a file')
    .option('--brokers <host:port,…>', 'a few Kafka brokers (default: KAFKA_BROKERS)')
    .option('--registry <url>', 'the schema registry (default: SCHEMA_REGISTRY_URL)')
    .option('--prefix <name>', "what the names of topics begin with (default: 'sightline')")
    .option('--http-port <n>', 'serve /healthz, /readyz and /metrics (0: any free port)', number)
    .option('--http-host <address>', "address to serve on (default: '127.0.0.1')")
    .option('--log-level <level>', 'debug, info, warn, error or silent (default: info)')
    .option('--log-format <format>', 'auto, json or pretty (default: auto)')
    .addHelpText('after', help);
}

function withModel(command: Command): Command {
  return command
    .option(
      '--model <name|file>',
      'name of a model, its manifest, or its .onnx file beside one (default: YOLOX-nano where it is, else the bundled one)',
    )
    .option('--models-dir <dir>', 'where models are looked for first');
}

/** The flags in the shape of the settings. */
function requestOf(flags: ServiceFlags): ServiceRequest {
  return {
    ...(flags.config === undefined ? {} : { configFile: flags.config }),
    flags: {
      brokers: flags.brokers,
      registry: flags.registry,
      topics: withoutUndefined({ prefix: flags.prefix, partitions: flags.partitions, replication: flags.replication }),
      http: withoutUndefined({ port: flags.httpPort, host: flags.httpHost }),
      log: withoutUndefined({ level: flags.logLevel, format: flags.logFormat }),
      model: flags.model,
      models_dir: flags.modelsDir,
      threads: flags.threads,
    },
  };
}

function withoutUndefined(values: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined));
}

function number(text: string): number {
  const value = Number(text);
  if (text.trim() === '' || !Number.isFinite(value)) throw new InvalidArgumentError('It must be a number.');
  return value;
}
