/**
 * What Sightline costs over the work itself. For each clip, interleaved and repeated: ffmpeg decoding to nothing plus bare session.run of as
 * many frames (the limit), the whole pipeline (`sightline run`, or with --kafka the services over a real Kafka), and the same by hand in Python
 * where it has what that needs. CPU time of all processes and their children, one thread. Each is run on the clip and on the clip several times
 * over; the difference is what a frame costs once it runs (a camera runs for months, and the compiler needs the first minute); the runs with
 * their start-up are told beside it.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { AppError } from '#shared/core/errors';
import { inputShapes, shapeOf } from '#shared/core/input-shape';
import { createModelLibrary } from '../../services/inference/adapters/model-files/model-library.ts';
import { withInputShape } from '../../services/inference/core/model-shape.ts';
import { benchEmbedded, embeddedText } from './embedded-bench.ts';
import type { BenchSettings } from './limit.ts';
import { round, type Ratios } from './ratios.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const dataDir = process.env['SIGHTLINE_TEST_DATA'] ?? path.join(root, '../shared/data');
const stateDir = process.env['SIGHTLINE_STATE_DIR'] ?? path.join(process.env['HOME'] ?? '.', '.local/state/sightline');

const { values: options } = parseArgs({
  options: {
    kafka: { type: 'boolean', default: false },
    clip: { type: 'string', multiple: true },
    model: { type: 'string' },
    fps: { type: 'string', default: '5' },
    repeats: { type: 'string', default: '5' },
    cameras: { type: 'string', default: '' },
    'input-shape': { type: 'string' },
    python: { type: 'string', default: process.env['SIGHTLINE_BENCH_PYTHON'] ?? 'python3' },
    json: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
});

if (options.help) {
  process.stdout
    .write(`npm run bench -- [--clip FILE …] [--model NAME_OR_MANIFEST] [--fps N] [--repeats N] [--cameras N]
  [--input-shape SHAPE] [--python PYTHON] [--json]
npm run bench -- --kafka [--clip FILE …] [--model NAME_OR_MANIFEST] [--fps N] [--repeats N] [--cameras N]
  [--input-shape SHAPE] [--python PYTHON] [--json]

Prints, for each clip, CPU time of the pipeline over the limit (ffmpeg decode to null + bare session.run of the same number of frames) and of
the same loop by hand in Python over the same limit. --cameras N adds: CPU per analysed frame with N cameras against one. The limit and the loop by hand
run the model as its file declares it; --input-shape fixed, trim or fit says what the pipeline does. By default that is what the manifest says, and trim
for YOLOX-nano, the model where none is named: so \`models add\` and \`models pull\` set it up.

--kafka measures \`service ingest\` with its ffmpeg and \`service inference --threads 1\` in place of \`run\`, until each frame has its record, and by
hand two Python programs (OpenCV, onnxruntime, confluent-kafka) with full-size JPEG between them. Broker and registry are not counted. They are
started for this alone (Java, and Maven the first time), or are those of KAFKA_BROKERS and SCHEMA_REGISTRY_URL, where topics bench-* then stay.
--cameras N adds: the same with N cameras on the clip, all read by one ingest, over the limit of one.
`);
  process.exit(0);
}

const wantedShape = inputShapes.find((shape) => shape === options['input-shape']);
if (options['input-shape'] !== undefined && wantedShape === undefined) {
  say(`--input-shape is ${inputShapes.join(', ')}; this is '${options['input-shape']}'`);
  process.exit(2);
}

const fps = Number(options.fps);
const repeats = Number(options.repeats);
const work = mkdtempSync(path.join(tmpdir(), 'sightline-bench-'));
try {
  const library = createModelLibrary({
    directories: [path.join(dataDir, 'models'), path.join(stateDir, 'models'), path.join(root, 'models')],
  });
  const loaded = await library.load(options.model ?? path.join(root, 'test/fixtures/models/yolox_nano.yaml'));
  const inputShape = wantedShape ?? (options.model === undefined ? 'trim' : shapeOf(loaded.manifest.input));
  const model = { ...loaded, manifest: withInputShape(loaded.manifest, 'fixed') };
  const ffmpeg = process.env['SIGHTLINE_FFMPEG'] ?? 'ffmpeg';
  const settings: BenchSettings = { root, work, ffmpeg, model, inputShape, fps, repeats, python: findPython(), say };
  await (options.kafka ? overKafka(settings) : embedded(settings));
} catch (error) {
  if (!(error instanceof AppError)) throw error;
  process.stderr.write(`${error.code}: ${error.message}\n${error.action}\n`);
  process.exitCode = 1;
} finally {
  rmSync(work, { recursive: true, force: true });
}

async function embedded(settings: BenchSettings): Promise<void> {
  const reports: Awaited<ReturnType<typeof benchEmbedded>>[] = [];
  for (const clip of options.clip ?? defaultClips()) {
    reports.push(await benchEmbedded(settings, clip, Number(options.cameras)));
  }
  print(settings, reports, (report) => embeddedText(report, repeats));
}

async function overKafka(settings: BenchSettings): Promise<void> {
  // Both load Kafka clients, which the other bench can do without.
  const [{ startServers }, { benchKafka, kafkaText }] = await Promise.all([
    import('./kafka-services.ts'),
    import('./kafka-bench.ts'),
  ]);
  const clips = options.clip ?? defaultClips();
  say('starting the broker and the registry');
  const servers = await startServers();
  const reports: Awaited<ReturnType<typeof benchKafka>>[] = [];
  try {
    for (const clip of clips) reports.push(await benchKafka(settings, servers, clip, Number(options.cameras)));
  } finally {
    await servers.stop();
  }
  print(settings, reports, (report) => kafkaText(report, repeats), { stages: worstOf(reports)?.stages ?? null });
}

function findPython(): string | undefined {
  const needed = ['cv2', 'numpy', 'onnxruntime', ...(options.kafka ? ['confluent_kafka'] : [])].join(', ');
  const check = spawnSync(options.python, ['-c', `import ${needed}`]);
  if (check.status === 0) return options.python;
  say(`${options.python} cannot import ${needed}: the loop by hand is left out`);
  return undefined;
}

function defaultClips(): string[] {
  const clips = [
    path.join(stateDir, 'demo/demo-vtest.avi'),
    '/usr/share/doc/opencv-doc/examples/data/vtest.avi',
    path.join(dataDir, 'videos/one-by-one-person-detection.mp4'),
  ].filter((clip) => existsSync(clip));
  if (clips.length === 0) throw new Error('no clip at hand: name one with --clip FILE');
  return clips;
}

/** The worst clip stands for all. */
function worstOf<Report extends Ratios>(reports: readonly Report[]): Report | undefined {
  return reports.toSorted((one, other) => other.ratio_to_limit.median - one.ratio_to_limit.median)[0];
}

function print<Report extends Ratios>(
  { inputShape }: BenchSettings,
  reports: readonly Report[],
  textOf: (report: Report) => string,
  more: Readonly<Record<string, unknown>> = {},
): void {
  if (!options.json) {
    process.stdout.write(
      `input shape of the pipeline: ${inputShape}; the limit and the loop by hand run the whole input\n`,
    );
    for (const report of reports) process.stdout.write(textOf(report));
    return;
  }
  const worst = worstOf(reports);
  const whole = {
    ratio_to_limit: worst?.ratio_to_limit.median ?? null,
    by_hand_ratio: worst?.by_hand_ratio?.median ?? null,
    input_shape: inputShape,
    machine: { processor: cpus()[0]?.model ?? 'unknown', cores: cpus().length, node: process.version },
    fps,
    repeats,
    ...more,
    clips: reports,
  };
  process.stdout.write(
    `${JSON.stringify(whole, (_, value: unknown) => (typeof value === 'number' ? round(value) : value))}\n`,
  );
}

function say(text: string): void {
  process.stderr.write(`${text}\n`);
}
