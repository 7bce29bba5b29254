/**
 * What the page costs the server and how late it is; `--help` tells the options. A run on the scene that Sightline draws itself, as so many
 * cameras; turns with and without a browser that shows them all, then 200 listeners of which one reads nothing. Wants Chromium and a model
 * (SIGHTLINE_MODELS_DIR, or the bundled one).
 */
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
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
    model: { type: 'string', default: '' },
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
  --model NAME    or its manifest: another than the bundled one. One that costs next to nothing leaves the tiles' share clear of its noise.
  --camera-fps N  pictures a second that each camera sends (10). Before the next one comes ffmpeg does not know that one is whole, so at 10 each is
                  0.1 s old when it is decoded.`);
  process.exit(0);
}
if (values.source !== 'rtsp' && values.source !== 'file') throw new Error('--source is rtsp or file');
const cameras = Number(values.cameras);
const turnMs = Number(values.seconds) * 1000;
const root = path.resolve(import.meta.dirname, '../..');
const folder = mkdtempSync(path.join(tmpdir(), 'sightline-page-bench-'));

/** Of each result that was drawn: when its frame was captured, read by ingest, made a record, come to the page, and drawn; by the clock of this machine. */
const watchBoxes = `(() => {
  const captured = new Map();
  window.drawn = [];
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
    ...(values.model === '' ? [] : ['--model', values.model]),
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
  await allAnalysed(url, token);
  await sleep(5_000);
  await benchTiles(url, token);
  await benchPage(browser, `${url}/#token=${token}`);
  if (Number(values.listeners) > 0) await benchListeners(url, token);
} finally {
  await browser.close();
  run.kill('SIGINT');
  if (run.exitCode === null) await once(run, 'close');
  await server?.stop();
  rmSync(folder, { recursive: true, force: true });
}

/**
 * What the pictures of all tiles cost the server, sent to readers that draw nothing: people's browsers run on their own machines. One on the
 * same two cores makes the whole pipeline take more CPU time for the same work, which is none of the tiles'.
 */
async function benchTiles(url: string, token: string): Promise<void> {
  const costs: number[] = [];
  const perPicture: number[] = [];
  const byThread = new Map<string, number[]>();
  for (let turn = 0; turn < Number(values.turns); turn++) {
    const before = await threadsDuring(() => sleep(turnMs));
    const without = sumOf(before);
    let pictures = 0;
    const sockets = Array.from({ length: cameras }, (_, index) => {
      const address = `${url.replace('http', 'ws')}/api/v1/cameras/camera-${index + 1}/live?fps=5`;
      const socket = new WebSocket(address, ['sightline.live.v1', `bearer.${token}`]);
      socket.addEventListener('message', () => pictures++);
      return socket;
    });
    await sleep(2_000);
    pictures = 0;
    const during = await threadsDuring(() => sleep(turnMs));
    const shown = sumOf(during);
    for (const [name, cores] of during)
      byThread.set(name, [...(byThread.get(name) ?? []), ((cores - (before.get(name) ?? 0)) * turnMs) / pictures]);
    perPicture.push(((shown - without) * turnMs) / pictures);
    costs.push((shown - without) * 100);
    for (const socket of sockets) socket.close();
  }
  print(
    `${cameras} tiles at ${values.fps} pictures a second: ${spread(costs, 1)} % of a core, ${spread(perPicture, 2)} ms a picture`,
  );
  for (const [name, costsMs] of byThread) print(`  ${name}: ${spread(costsMs, 2)} ms a picture`);
}

function spread(numbers: readonly number[], digits: number): string {
  const { median, min, max } = spreadOf(numbers);
  return `${median.toFixed(digits)} (${min.toFixed(digits)} to ${max.toFixed(digits)})`;
}

async function benchPage(from: Browser, link: string): Promise<void> {
  const costs: number[] = [];
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
    await page.evaluate('window.drawn.length = 0');
    const shown = await cpuDuring(() => sleep(turnMs));
    drawn.push(...(await page.evaluate<number[][]>('window.drawn')));
    await context.close();
    costs.push((shown - without) * 100);
  }
  print(`load average ${loadavg()[0]?.toFixed(1) ?? '?'}`);
  print(`the same with a browser on this machine that shows them: ${spread(costs, 1)} % of a core`);
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
  return sumOf(await threadsDuring(work));
}

/** The same, by the name that threads of one kind have. */
async function threadsDuring(work: () => Promise<unknown>): Promise<ReadonlyMap<string, number>> {
  const [before, startedMs] = [threadsMs(), performance.now()];
  await work();
  const tookMs = performance.now() - startedMs;
  const cores = new Map<string, number>();
  for (const [id, { name, ms }] of threadsMs())
    cores.set(name, (cores.get(name) ?? 0) + (ms - (before.get(id)?.ms ?? 0)) / tookMs);
  return cores;
}

/** CPU time of each thread; none of ours ends before the run does. */
function threadsMs(): ReadonlyMap<string, { readonly name: string; readonly ms: number }> {
  const folder = `/proc/${run.pid ?? 0}/task`;
  const threads = new Map<string, { name: string; ms: number }>();
  for (const id of readdirSync(folder)) {
    const [nanoseconds] = readFileSync(`${folder}/${id}/schedstat`, 'utf8').split(' ');
    const name = readFileSync(`${folder}/${id}/comm`, 'utf8').trim();
    threads.set(id, { name, ms: Number(nanoseconds) / 1_000_000 });
  }
  return threads;
}

function sumOf(cores: ReadonlyMap<string, number>): number {
  return [...cores.values()].reduce((sum, one) => sum + one, 0);
}

/** Until each camera gives results: what starting costs is nobody's. */
async function allAnalysed(url: string, token: string): Promise<void> {
  const headers = { authorization: `Bearer ${token}` };
  let waiting = cameras;
  for (let tried = 0; tried < 300; tried++) {
    const answer = await fetch(`${url}/api/v1/cameras?limit=500`, { headers });
    const { items } = (await answer.json()) as { items: readonly { figures: { analysed_fps: number } | null }[] };
    waiting = items.filter(({ figures }) => (figures?.analysed_fps ?? 0) === 0).length;
    if (waiting === 0) return;
    await sleep(500);
  }
  throw new Error(`${waiting} of ${cameras} cameras give no results`);
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
