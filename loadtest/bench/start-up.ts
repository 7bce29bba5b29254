/**
 * What it costs to start: CPU time of `sightline run` on a clip of one frame until each of its first steps, beside a bare script that only
 * loads onnxruntime and the model. Interleaved; median, least and most of `--repeats N`. `--tree DIR`, several times, compares checkouts.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { measureCommand, spreadOf } from './measure-cpu.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const here = fileURLToPath(new URL('.', import.meta.url));
const dataDir = process.env['SIGHTLINE_TEST_DATA'] ?? path.join(root, '../shared/data');
const { values: options } = parseArgs({
  options: {
    tree: { type: 'string', multiple: true },
    repeats: { type: 'string', default: '7' },
  },
});

interface Stage {
  readonly message: string;
  readonly ownMs: number;
  readonly childrenMs: number;
  readonly wallMs: number;
}

/** Log lines that mark the steps. */
const milestones = [
  ['starting', 'run until composed'],
  ['inference ready', 'run until the model has run'],
  ['camera state', 'run until the first camera is opened'],
] as const;

const trees = (options.tree ?? [root]).map((tree) => path.resolve(tree));
const work = mkdtempSync(path.join(tmpdir(), 'sightline-start-up-'));
/** Milliseconds by what was measured. */
const figures = new Map<string, number[]>();
try {
  const clip = path.join(work, 'one-frame.mkv');
  const picture = ['-f', 'lavfi', '-i', 'testsrc2=size=768x432:rate=5:duration=0.2', '-c:v', 'mjpeg', clip];
  spawnSync('ffmpeg', ['-loglevel', 'error', '-nostdin', ...picture]);
  for (let repeat = 0; repeat <= Number(options.repeats); repeat += 1) {
    // The first round only fills caches.
    const note = repeat === 0 ? () => undefined : add;
    note('node -e 0', (await measureCommand(process.execPath, ['-e', '0'])).cpuMs);
    note('bare: onnxruntime and the model loaded', await bareSession());
    for (const tree of trees) await run(tree, clip, trees.length === 1 ? '' : `${path.basename(tree)}: `, note);
  }
} finally {
  rmSync(work, { recursive: true, force: true });
}
for (const [what, values] of figures) {
  const { median, min, max } = spreadOf(values);
  process.stdout.write(`${what.padEnd(64)} ${[median, min, max].map((ms) => ms.toFixed(0).padStart(5)).join(' ')}\n`);
}

function add(what: string, milliseconds: number): void {
  figures.set(what, [...(figures.get(what) ?? []), milliseconds]);
}

async function bareSession(): Promise<number> {
  const model = path.join(dataDir, 'models/yolox_nano.onnx');
  const code = `const { InferenceSession } = require('onnxruntime-node');
    InferenceSession.create(${JSON.stringify(model)}, { intraOpNumThreads: 1, interOpNumThreads: 1 });`;
  return (await measureCommand(process.execPath, ['-e', code])).cpuMs;
}

async function run(
  tree: string,
  clip: string,
  label: string,
  note: (what: string, milliseconds: number) => void,
): Promise<void> {
  const stages = path.join(work, `stages-${figures.size}-${Math.random()}`);
  const result = await measureCommand(
    process.execPath,
    [
      ...['--import', path.join(here, 'start-up-probe.mjs'), path.join(tree, 'cli/bin.mjs'), 'run', '--until-end'],
      ...['--camera', `a=${clip}`, '--model', path.join(root, 'test/fixtures/models/yolox_nano.yaml')],
      ...['--models-dir', path.join(dataDir, 'models'), '--threads', '1', '--fps', '5', '--log-format', 'json'],
      ...['--results', path.join(work, `results-${Math.random()}.avro`), '--state-dir', path.join(work, 'state')],
    ],
    { SIGHTLINE_BENCH_STAGES: stages },
  );
  const seen = new Map<string, Stage>();
  for (const line of readFileSync(stages, 'utf8').trim().split('\n')) {
    const stage = JSON.parse(line) as Stage; // written by the probe
    if (!seen.has(stage.message)) seen.set(stage.message, stage);
  }
  for (const [message, what] of milestones) {
    const stage = seen.get(message);
    if (stage === undefined) throw new Error(`${tree} never said '${message}'`);
    note(label + what, stage.ownMs + stage.childrenMs);
    note(`${label}${what}, wall time`, stage.wallMs);
  }
  note(`${label}whole run of one frame`, result.cpuMs);
}
