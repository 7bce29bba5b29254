import { InvalidArgumentError, type Command } from 'commander';
import { AppError } from '#shared/core/errors';
import { parseCameraFlag } from '../run/camera-specs.ts';
import type { CameraSettings } from '../run/run-settings.ts';
import { run } from '../run/run.ts';

interface RunFlags {
  readonly camera: Readonly<Record<string, CameraSettings>>;
  readonly config?: string;
  readonly model?: string;
  readonly embeddingModel?: string;
  readonly modelsDir?: string;
  readonly provider?: string;
  readonly inputShape?: string;
  readonly threshold?: number;
  readonly threads?: number;
  readonly fps?: number;
  readonly filter?: string;
  readonly transport?: 'tcp' | 'udp';
  readonly tlsInsecure?: true;
  readonly loop?: true;
  readonly allowHttp?: true;
  readonly results?: string;
  readonly untilEnd?: true;
  readonly duration?: number;
  readonly summary?: string;
  readonly httpPort?: number;
  readonly httpHost?: string;
  readonly stateDir?: string;
  readonly logLevel?: string;
  readonly logFormat?: string;
}

const help = `
Without a camera a demo runs: a real clip where one can be had, else a scene that Sightline draws.

Settings come from --config FILE.yaml, over it the environment (http.port is SIGHTLINE_HTTP_PORT), over it the flags. In a camera's URL
\${NAME} is taken from the environment, so that a password need not stand in a file or in the shell's history.

Examples:
  $ sightline run --camera front=rtsp://10.0.0.9/stream1 --camera yard='rtsp://\${USER_YARD}:\${PASSWORD_YARD}@10.0.0.10/main'
  $ sightline run --camera door=door.mp4 --until-end --results door.avro --summary door.json
  $ sightline run --config cameras.yaml --results - | jq .objects
  $ sightline run --config cameras.yaml --results 'kafka://broker:9092/?registry=http://registry:8081'
`;

/** `sightline run`, which is also `npm start`. */
export function registerRunCommand(program: Command): void {
  program
    .command('run')
    .description('turn cameras and video files into results')
    .option('--camera <name=url>', 'a camera or video file; may be given several times', collectCamera, {})
    .option('--config <file.yaml>', 'settings and cameras from a file')
    .option(
      '--model <name|file>',
      'name of a model, its manifest, or its .onnx file beside one (default: yolox-nano if it is here, else the bundled sightline-nano)',
    )
    .option('--embedding-model <name|file>', 'model that describes what the other one finds (re-identification)')
    .option('--models-dir <dir>', 'where models are looked for first')
    .option('--provider <name>', 'where the model runs: cpu, cuda, tensorrt, coreml, dml or webgpu (default: cpu)')
    .option(
      '--input-shape <fixed|trim|fit>',
      "shape that pictures are run in: as the model's, without filling (cheaper), or as the picture's (sees smaller objects)",
    )
    .option('--threshold <0..1>', "lowest confidence of an object (default: the model's own)", number)
    .option('--threads <n>', 'frames inferred at once (default: processors less one)', number)
    .option('--fps <n>', 'frames per second to sample of each camera (default: 5)', number)
    .option('--filter <off|auto>', 'leave out frames without change (default: off)')
    .option('--transport <tcp|udp>', 'how RTP comes from the cameras named here (default: tcp)')
    .option('--tls-insecure', 'accept certificates that cannot be verified, of the cameras named here')
    .option('--loop', 'start the files named here over when they end')
    .option('--allow-http', 'allow http(s) cameras (MJPEG, HLS)')
    .option(
      '--results <where>',
      "PATH.avro, PATH.jsonl, a directory, - for JSON lines, or kafka:// (default: 'results')",
    )
    .option('--until-end', 'read files to their end without dropping anything, then stop')
    .option('--duration <s>', 'stop after this many seconds', number)
    .option('--summary <file.json>', 'write the totals of the run to a file')
    .option(
      '--http-port <n>',
      'serve the API, /docs, /healthz, /readyz and /metrics (0: any free port; default at a terminal: 8080)',
      number,
    )
    .option('--http-host <address>', "address to serve on (default: '127.0.0.1')")
    .option('--state-dir <dir>', 'where epochs, models and the demo clip are kept')
    .option('--log-level <level>', 'debug, info, warn, error or silent (default: info)')
    .option('--log-format <format>', 'auto, json or pretty (default: auto)')
    .addHelpText('after', help)
    .action(async (flags: RunFlags) => {
      await run({ ...(flags.config === undefined ? {} : { configFile: flags.config }), flags: settingsOf(flags) });
    });
}

/** The flags in the shape of the settings. */
function settingsOf(flags: RunFlags): Readonly<Record<string, unknown>> {
  const { transport, tlsInsecure, loop } = flags;
  const cameras = Object.entries(flags.camera).map(([id, camera]) => [
    id,
    {
      ...camera,
      ...(transport === undefined ? {} : { transport }),
      ...(tlsInsecure === undefined ? {} : { tls_insecure: tlsInsecure }),
      ...(loop === undefined ? {} : { loop }),
    },
  ]);
  return {
    ...(cameras.length === 0 ? {} : { cameras: Object.fromEntries(cameras) as unknown }),
    model: flags.model,
    embedding_model: flags.embeddingModel,
    models_dir: flags.modelsDir,
    provider: flags.provider,
    input_shape: flags.inputShape,
    threshold: flags.threshold,
    threads: flags.threads,
    fps: flags.fps,
    filter: flags.filter,
    allow_http: flags.allowHttp,
    results: flags.results,
    until_end: flags.untilEnd,
    duration_s: flags.duration,
    summary: flags.summary,
    http: withoutUndefined({ port: flags.httpPort, host: flags.httpHost }),
    state_dir: flags.stateDir,
    log: withoutUndefined({ level: flags.logLevel, format: flags.logFormat }),
  };
}

function withoutUndefined(values: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined));
}

function collectCamera(
  text: string,
  cameras: Readonly<Record<string, CameraSettings>>,
): Readonly<Record<string, CameraSettings>> {
  const [id, camera] = parseCameraFlag(text);
  if (Object.hasOwn(cameras, id)) {
    throw new AppError('SIGHTLINE_CONFIG_INVALID', `two cameras are named ${id}`, {
      action: 'Give each camera a name of its own.',
    });
  }
  return { ...cameras, [id]: camera };
}

function number(text: string): number {
  const value = Number(text);
  if (text.trim() === '' || !Number.isFinite(value)) throw new InvalidArgumentError('It must be a number.');
  return value;
}
