/**
 * What the page costs the server and how late it is; `--help` tells the options. A run on the scene that Sightline draws itself, as so many
 * cameras; turns with and without a browser that shows them all, then 200 listeners of which one reads nothing. Wants Chromium and a model
 * (SIGHTLINE_MODELS_DIR, or the bundled one).
 */
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { loadavg, tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs, promisify } from 'node:util';
import type { Browser } from 'playwright-core';
import { build } from 'vite';
import { launchChromium } from '../../test/support/chromium.ts';
import { demoSceneClip, shortSceneClip } from '../../test/support/demo-scene-clip.ts';
import { hasRtspServer, startRtspServer } from '../../test/support/rtsp-server.ts';
import { spreadOf } from './measure-cpu.ts';

const { values } = parseArgs({
  options: {
    cameras: { type: 'string', default: '16' },
    fps: { type: 'string', default: '2' },
    turns: { type: 'string', default: '3' },
    seconds: { type: 'string', default: '12' },
    listeners: { type: 'string', default: '200' },
    source: { type: 'string', default: hasRtspServer() ? 'rtsp' : 'file' },
    'camera-fps': { type: 'string', default: '10' },
    help: { type: 'boolean', default: false },
  },
});
if (values.help) {
  print(`What the page costs the server, and how late its boxes are.

  --cameras N     tiles of the wall (16)
  --fps N         pictures a second of each (2)
  --turns N       turns without and with a browser (3)
  --seconds N     length of a turn (12)
  --listeners N   clients that follow the results, one of them stalled (200); 0 leaves them out
  --source KIND   rtsp: a server that plays the scene as cameras do, which tells when a picture was captured (default where GStreamer's is
                  installed). file: the scene read by ffmpeg at its own speed; captured is then when it was read, its start left out.
  --camera-fps N  pictures a second that each camera sends (10). Before the next one comes ffmpeg does not know that one is whole, so at 10 each is
                  0.1 s old when it is decoded.`);
  process.exit(0);
}
if (values.source !== 'rtsp' && values.source !== 'file') throw new Error('--source is rtsp or file');
const cameras = Number(values.cameras);
const turnMs = Number(values.seconds) * 1000;
const millisecondsPerTick = 10;
const root = path.resolve(import.meta.dirname, '../..');
const folder = mkdtempSync(path.join(tmpdir(), 'sightline-page-bench-'));

/** Of each result that was drawn: when its frame was captured, read by ingest, made a record, come to the page, and drawn; by the clock of this machine. */
const watchBoxes = `(() => {
  const captured = new Map();
  window.drawn = [];
  window.pictures = 0;
  const Plain = window.WebSocket;
  window.WebSocket = class extends Plain {
    constructor(...args) {
      super(...args);
      this.addEventListener('message', ({ data }) => {
        const view = new DataView(data);
        const json = JSON.parse(new TextDecoder().decode(new Uint8Array(data, 4, view.getUint32(0))));
        const { message_id, capture_time, ingest_time, publish_time } = json.header;
        const { queue = 0 } = json.timing_ms ?? {};
        captured.set(message_id, [capture_time / 1000, ingest_time / 1000, ingest_time / 1000 + queue, publish_time / 1000, Date.now()]);
        window.pictures += 1;
      });
    }
  };
  new MutationObserver((changes) => {
    for (const { target } of changes) {
      const at = captured.get(target.dataset.messageId);
      if (at !== undefined) requestAnimationFrame(() => window.drawn.push([...at, Date.now()]));
      captured.delete(target.dataset.messageId);
    }
  }).observe(document, { subtree: true, attributes: true, attributeFilter: ['data-message-id'] });
})()`;

const stages = [
  'capture to ingest (decoding, scaling)',
  'until a worker begins (queues)',
  'until the record (inference)',
  'until the page has it (picture, socket)',
  'until drawn',
] as const;

// Each viewer of the server gets a stream of its own.
const server =
  values.source === 'rtsp' ? await startRtspServer({ clip: await atRate(await shortSceneClip()) }) : undefined;
const address = server?.url ?? (await atRate(await demoSceneClip()));
await build({ configFile: path.join(root, 'web/vite.config.ts'), logLevel: 'silent' });
const run = spawn(
  process.execPath,
  [
    ...[
      path.join(root, 'cli/bin.mjs'),
      'run',
      ...(server === undefined ? ['--loop'] : []),
      '--fps',
      values.fps,
      '--http-port',
      '0',
      '--log-format',
      'json',
    ],
    ...Array.from({ length: cameras }, (_, index) => ['--camera', `camera-${index + 1}=${address}`]).flat(),
    ...['--state-dir', folder, '--results', path.join(folder, 'results')],
  ],
  { stdio: ['ignore', 'ignore', 'pipe'] },
);
let log = '';
run.stderr.on('data', (chunk: Buffer) => (log += chunk.toString()));
const browser = await launchChromium();
try {
  const url = await urlOf();
  const token = readFileSync(path.join(folder, 'local-token'), 'utf8').trim();
  await sleep(8_000);
  await benchPage(browser, `${url}/#token=${token}`);
  if (Number(values.listeners) > 0) await benchListeners(url, token);
} finally {
  await browser.close();
  run.kill('SIGINT');
  if (run.exitCode === null) await once(run, 'close');
  await server?.stop();
  rmSync(folder, { recursive: true, force: true });
}

async function benchPage(from: Browser, link: string): Promise<void> {
  const costs: number[] = [];
  const perPicture: number[] = [];
  const paints: number[] = [];
  const drawn: number[][] = [];
  for (let turn = 0; turn < Number(values.turns); turn++) {
    const without = await cpuDuring(() => sleep(turnMs));
    const context = await from.newContext({ viewport: { width: 1600, height: 1400 } });
    const page = await context.newPage();
    await page.addInitScript(watchBoxes);
    await page.goto(link);
    await page
      .locator('.live-boxes[data-message-id]')
      .nth(cameras - 1)
      .waitFor();
    paints.push(await page.evaluate<number>("performance.getEntriesByName('first-contentful-paint')[0].startTime"));
    const before = await page.evaluate<number>('window.drawn.length = 0, window.pictures');
    const shown = await cpuDuring(() => sleep(turnMs));
    drawn.push(...(await page.evaluate<number[][]>('window.drawn')));
    const pictures = (await page.evaluate<number>('window.pictures')) - before;
    await context.close();
    costs.push(shown - without);
    perPicture.push(((shown - without) * turnMs) / pictures);
  }
  const cost = spreadOf(costs.map((one) => one * 100));
  const picture = spreadOf(perPicture);
  print(`load average ${loadavg()[0]?.toFixed(1) ?? '?'}`);
  print(
    `${cameras} tiles at ${values.fps} pictures a second: ${cost.median.toFixed(1)} % of a core (${cost.min.toFixed(1)} to ${cost.max.toFixed(1)}), ${picture.median.toFixed(2)} ms a picture`,
  );
  print(`from capture to boxes on the screen, of ${drawn.length}: ${quantiles(drawn, 0, stages.length)}`);
  for (const [index, stage] of stages.entries()) print(`  ${stage}: ${quantiles(drawn, index, index + 1)}`);
  print(`first contentful paint: ${paints.map((one) => `${Math.round(one)} ms`).join(', ')}`);
}

/** Each picture as often as it takes. */
async function atRate(clip: string): Promise<string> {
  if (values['camera-fps'] === '10') return clip;
  const sent = path.join(folder, 'camera.mp4');
  const encoder = ['-c:v', 'libx264', '-preset', 'ultrafast', '-bf', '0', '-g', values['camera-fps']];
  const made = ['-v', 'error', '-nostdin', '-i', clip, '-r', values['camera-fps'], ...encoder, sent];
  await promisify(execFile)(process.env['SIGHTLINE_FFMPEG'] ?? 'ffmpeg', made);
  return sent;
}

function quantiles(drawn: readonly (readonly number[])[], from: number, to: number): string {
  const sorted = drawn
    .map((times) => (times[to] ?? Number.NaN) - (times[from] ?? Number.NaN))
    .toSorted((one, other) => one - other);
  const at = (share: number): number => Math.round(sorted[Math.floor(sorted.length * share)] ?? Number.NaN);
  return `p50 ${at(0.5)}, p95 ${at(0.95)}, p99 ${at(0.99)} ms`;
}

async function benchListeners(url: string, token: string): Promise<void> {
  const stopped = new AbortController();
  const counts = Array.from({ length: Number(values.listeners) - 1 }, () => 0);
  const { hostname, port } = new URL(url);
  const stalled = connect(Number(port), hostname);
  stalled.write(`GET /api/v1/results HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${token}\r\n\r\n`);
  stalled.pause();
  const without = await cpuDuring(() => sleep(turnMs));
  const headers = { authorization: `Bearer ${token}` };
  const reading = counts.map(async (_, index) => {
    const answer = await fetch(`${url}/api/v1/results`, { headers, signal: stopped.signal });
    for await (const part of answer.body ?? []) counts[index] = (counts[index] ?? 0) + newResults(part as Uint8Array);
  });
  const settled = Promise.allSettled(reading);
  await sleep(2_000);
  counts.fill(0);
  const shown = await cpuDuring(() => sleep(turnMs));
  const heard = spreadOf(counts);
  const system = (await (await fetch(`${url}/api/v1/system`, { headers })).json()) as Readonly<Record<string, number>>;
  stopped.abort();
  stalled.destroy();
  await settled;
  print(
    `${values.listeners} listeners, one of them stalled: results in ${values.seconds} s ${heard.min} to ${heard.max}, median ${heard.median}`,
  );
  print(
    `${((shown - without) * 100).toFixed(1)} % of a core for them; ${system['result_events_dropped'] ?? '?'} events dropped for slow ones`,
  );
}

function newResults(part: Uint8Array): number {
  return Buffer.from(part).toString('latin1').split('event: result\n').length - 1;
}

/** Of the run itself with its threads, in cores; what its ffmpegs take is the pipeline's. */
async function cpuDuring(work: () => Promise<unknown>): Promise<number> {
  const [beforeMs, startedMs] = [cpuMs(), performance.now()];
  await work();
  return (cpuMs() - beforeMs) / (performance.now() - startedMs);
}

function cpuMs(): number {
  const stat = readFileSync(`/proc/${run.pid ?? 0}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) * millisecondsPerTick;
}

async function urlOf(): Promise<string> {
  for (let tried = 0; tried < 300; tried++) {
    const found = /"url":"(http[^"]+)"/.exec(log)?.[1];
    if (found !== undefined) return found;
    if (run.exitCode !== null) break;
    await sleep(200);
  }
  throw new Error(`the run does not serve its page:\n${log}`);
}

function print(text: string): void {
  process.stdout.write(`${text}\n`);
}
