import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import { renderDemoScene } from '../../cli/demo/demo-scene.ts';
import { streamTemplates } from '../../services/ingest/core/stream-templates.ts';
import { loadPageFiles } from './page-files.ts';
import { audit, devices, eventsOf, profiles, still, system, tokens } from './scripted-data.ts';

export interface ScriptedApi {
  readonly url: string;
  /** By id; what a test changes here is what the page is told next. */
  readonly cameras: Map<string, ScriptedCamera>;
  /** Every JSON that was sent on a live socket, by message id: what the page should have drawn. */
  readonly sent: ReadonlyMap<string, ScriptedResult>;
  /** Live sockets that are open now. */
  liveSockets(): number;
  close(): Promise<void>;
}

export interface ScriptedApiOptions {
  readonly cameras: number;
  readonly port: number;
  /** Folder of the built page. */
  readonly page?: string;
}

type ScriptedCamera = ReturnType<typeof fakeCamera>;
type ScriptedResult = ReturnType<typeof resultOf>;

interface Reply {
  readonly status: number;
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}

const fps = 5;
const keptResults = 2_000;

/**
 * An API that answers by script, for work on the page and for its tests. The tokens are `viewer`, `operator` and `admin`. Pictures are of our
 * own demo scene; boxes follow it roughly. Never part of a run.
 */
export async function startScriptedApi(options: ScriptedApiOptions): Promise<ScriptedApi> {
  const jpegs = await demoJpegs();
  const cameras = new Map(
    Array.from({ length: options.cameras }, (_, index) => [`camera-${index + 1}`, fakeCamera(index)]),
  );
  const sent = new Map<string, ScriptedResult>();
  const sockets = new Set<Duplex>();
  const page = options.page === undefined ? undefined : loadPageFiles(options.page);

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { pathname, searchParams } = new URL(request.url ?? '/', 'http://localhost');
    const file = page?.get(pathname);
    if (file !== undefined) {
      response.writeHead(200, file.headers);
      response.end(file.body);
      return;
    }
    if (pathname.endsWith(`/${still}/still.jpg`)) {
      response.writeHead(200, { 'content-type': 'image/jpeg' });
      response.end(jpegs[0]);
      return;
    }
    const { status, body, headers } = reply(
      cameras,
      request,
      { pathname, search: searchParams },
      await bodyOf(request),
    );
    response.writeHead(status, { 'content-type': 'application/json', ...headers });
    response.end(JSON.stringify(body ?? {}));
  }

  const server = createServer((request, response) => void answer(request, response).catch(() => response.destroy()));
  server.on('upgrade', (request, socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    stream(request, socket, (id) => {
      if (cameras.get(id)?.status.state !== 'ONLINE') return undefined;
      const index = Math.floor((Date.now() / 1000) * 10 + Number(/\d+/.exec(id)?.[0] ?? 0) * 17) % jpegs.length;
      const result = resultOf(id, index, jpegs.length);
      sent.set(result.header.message_id, result);
      const oldest = sent.keys().next().value;
      if (sent.size > keptResults && oldest !== undefined) sent.delete(oldest);
      return { result, jpeg: jpegs[index] ?? Buffer.alloc(0) };
    });
  });
  await new Promise<void>((resolve) => server.listen(options.port, '127.0.0.1', resolve));
  // A TCP server that listens has an address of this kind.
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    cameras,
    sent,
    liveSockets: () => sockets.size,
    close: () => {
      for (const socket of sockets) socket.destroy();
      server.closeAllConnections();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
}

function fakeCamera(index: number) {
  const trouble = index % 7 === 5;
  return {
    id: `camera-${index + 1}`,
    name: index % 3 === 0 ? `North gate ${index + 1}` : `camera-${index + 1}`,
    url: `rtsp://10.0.0.${index + 1}/stream`,
    has_credentials: true,
    enabled: index % 11 !== 9,
    fps: 5,
    tags: { site: index % 2 === 0 ? 'north' : 'south' },
    origin: index === 1 ? 'file' : 'api',
    version: 1,
    geometry: { zones: [] as unknown[], lines: [] as unknown[], masks: [] as unknown[] },
    status: {
      state: trouble ? 'OFFLINE' : 'ONLINE',
      state_since: (Date.now() - 90_000 * (index + 1)) * 1000,
      reason_code: trouble ? 'REFUSED' : 'NONE',
      reason_text: trouble
        ? 'Nothing listens at the address and port of the camera. Check the port (554 is usual), and that RTSP is switched on.'
        : '',
      codec: 'h264',
      width_px: 640,
      height_px: 360,
      measured_fps: 25,
      reconnect_count: trouble ? 4 : 0,
      next_retry_at: trouble ? (Date.now() + 8_000) * 1000 : null,
      last_frame_time: (Date.now() - (trouble ? 60_000 : 120)) * 1000,
      time_to_first_result_ms: 840,
    },
    figures: { received_fps: trouble ? 0 : 25, analysed_fps: trouble ? 0 : 4.9 },
  };
}

function reply(
  cameras: Map<string, ScriptedCamera>,
  request: IncomingMessage,
  { pathname, search }: { readonly pathname: string; readonly search: URLSearchParams },
  body: Readonly<Record<string, unknown>>,
): Reply {
  const role = /^Bearer (viewer|operator|admin)$/.exec(request.headers.authorization ?? '')?.[1];
  const path = pathname.replace('/api/v1', '');
  if (role === undefined) return { status: 401, body: { code: 'SIGHTLINE_UNAUTHENTICATED', detail: 'no valid token' } };
  switch (`${request.method ?? 'GET'} ${path}`) {
    case 'GET /me':
      return { status: 200, body: { token_id: '1', name: `${role} of the page`, role, cameras: null } };
    case 'GET /cameras':
      return { status: 200, body: { items: [...cameras.values()].map(fresh), next_cursor: null } };
    case 'POST /cameras:probe':
      return { status: 200, body: verdictFor(body) };
    case 'POST /cameras': {
      const { verdict } = verdictFor(body);
      if (!verdict.usable && body['save_anyway'] !== true) {
        return { status: 422, body: { code: 'SIGHTLINE_CAMERA_REFUSED', detail: verdict.reason_text, verdict } };
      }
      const made = { ...fakeCamera(0), ...body };
      cameras.set(made.id, made);
      return { status: 201, body: { camera: made } };
    }
    case 'GET /models':
      return { status: 200, body: { items: models } };
    case 'GET /models/rollout':
      return { status: 200, body: rollout };
    case 'POST /models/yolox-nano/1.1.0-int8/rollback':
      rollout = { ...rollout, candidate: null };
      models = models.map((model) => (model.state === 'SHADOW' ? { ...model, state: 'ROLLED_BACK' } : model));
      return { status: 200, body: { rollout } };
    case 'GET /system':
      return { status: 200, body: system };
    case 'POST /cameras:discover':
      return { status: 200, body: { devices } };
    case 'POST /cameras:profiles':
      return { status: 200, body: { manufacturer: 'Acme', model: null, firmware: null, profiles } };
    case 'GET /camera-templates':
      return { status: 200, body: { items: streamTemplates } };
    case 'GET /events':
      return { status: 200, body: eventsOf(search) };
    case 'GET /audit':
      return { status: 200, body: { items: audit, next_cursor: null } };
    case 'GET /tokens':
      return { status: 200, body: { items: tokens, next_cursor: null } };
  }
  const [, first, id = '', rest] = path.split('/');
  const camera = first === 'cameras' && rest === undefined ? cameras.get(decodeURIComponent(id)) : undefined;
  if (camera === undefined) return { status: 404, body: { detail: 'there is no such thing' } };
  const etag = `"${camera.version}"`;
  if (request.method === 'GET') return { status: 200, body: fresh(camera), headers: { etag } };
  if (request.headers['if-match'] !== etag) return { status: 412, body: { detail: 'It was changed meanwhile.' } };
  if (request.method === 'DELETE') {
    cameras.delete(camera.id);
    return { status: 200 };
  }
  Object.assign(camera, body, { version: camera.version + 1 });
  return { status: 200, body: camera, headers: { etag: `"${camera.version}"` } };
}

function fresh(camera: ReturnType<typeof fakeCamera>) {
  const lastFrame = camera.status.state === 'ONLINE' ? Date.now() * 1000 - 120_000 : camera.status.last_frame_time;
  return { ...camera, status: { ...camera.status, last_frame_time: lastFrame } };
}

function verdictFor({ url }: Readonly<Record<string, unknown>>) {
  const usable = typeof url === 'string' && !url.includes('wrong');
  return {
    verdict: {
      usable,
      reason_code: usable ? 'NONE' : 'REFUSED',
      reason_text: usable ? '' : 'Nothing listens at the address and port of the camera.',
      action: usable ? null : 'Check the port (554 is usual), and that RTSP is switched on at the camera.',
      advice: [],
      codec: 'h264',
      width_px: 1280,
      height_px: 720,
      measured_fps: 25,
      keyframe_interval_ms: 2000,
      clock_source: 'RTCP_SR',
      steps: [
        { step: 'resolve', ok: true, duration_ms: 2, detail: '10.0.0.9' },
        { step: 'connect', ok: usable, duration_ms: 4, detail: usable ? 'port 554' : 'refused' },
      ],
    },
    cost: { cores: 0.31, fits: true },
    capacity: { free_cores: 1.2 },
  };
}

async function bodyOf(request: IncomingMessage): Promise<Record<string, unknown>> {
  let body = '';
  for await (const chunk of request) body += String(chunk);
  // Whoever works on the page sends objects.
  return body === '' ? {} : (JSON.parse(body) as Record<string, unknown>);
}

/** The server's half of a WebSocket, as far as a page that only listens needs it. */
function stream(
  request: IncomingMessage,
  socket: Duplex,
  next: (cameraId: string) => { readonly result: ScriptedResult; readonly jpeg: Buffer } | undefined,
): void {
  const accept = createHash('sha1')
    .update(`${request.headers['sec-websocket-key'] ?? ''}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`)
    .digest('base64');
  socket.write(
    `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n` +
      'Sec-WebSocket-Protocol: sightline.live.v1\r\n\r\n',
  );
  const id = decodeURIComponent(/cameras\/([^/]+)\/live/.exec(request.url ?? '')?.[1] ?? '');
  const timer = setInterval(() => {
    const picture = next(id);
    if (picture === undefined) return;
    const json = Buffer.from(JSON.stringify(picture.result));
    const length = Buffer.alloc(4);
    length.writeUInt32BE(json.length);
    const payload = Buffer.concat([length, json, picture.jpeg]);
    // The length as the protocol wants it: in two bytes where it fits.
    const long = payload.length > 0xffff;
    const head = Buffer.alloc(long ? 10 : 4);
    head[0] = 0x82;
    head[1] = long ? 127 : 126;
    if (long) head.writeBigUInt64BE(BigInt(payload.length), 2);
    else head.writeUInt16BE(payload.length, 2);
    if (socket.writableLength < 1_000_000) socket.write(Buffer.concat([head, payload]));
  }, 1000 / fps);
  socket.on('close', () => clearInterval(timer));
  socket.on('error', () => clearInterval(timer));
  // A server's sockets stay half open unless they are told.
  socket.on('end', () => socket.end());
  socket.on('data', (data: Buffer) => {
    // A close frame is all that the page ever sends.
    if ((data[0] ?? 0) % 16 === 8) socket.end();
  });
}

function resultOf(id: string, index: number, frames: number) {
  const progress = index / frames;
  const walker = (feet: number, left: number, high: number) =>
    boxed('person', 0.91, left - high * 0.2, feet - high, high * 0.4, high);
  return {
    header: { message_id: `${id}-${index}`, camera_id: id, frame_seq: index, capture_time: Date.now() * 1000 },
    decision: 'ANALYSED',
    objects: [
      boxed('car', 0.88, -220 + progress * 1080, 186, 190, 66),
      walker(322, 60 + progress * 430, 150),
      walker(338, 560 - progress * 380, 168),
    ].filter((object) => object.bbox.width > 0.02),
    accounting: {
      frames_received: 5,
      frames_analysed: 1,
      frames_filtered: 4,
      frames_dropped_ingest: 0,
      effective_fps: 4.9,
    },
    timing_ms: { queue: 2, preprocess: 3, inference: 40 + 12 * Math.sin(index / 9), postprocess: 1 },
  };
}

function boxed(className: string, confidence: number, x: number, y: number, width: number, height: number) {
  const left = Math.max(0, x / 640);
  const right = Math.min(1, (x + width) / 640);
  return {
    class_id: 0,
    class_name: className,
    confidence,
    bbox: { x: left, y: y / 360, width: right - left, height: height / 360 },
    keypoints: [],
    embedding: null,
    embedding_model: null,
  };
}

async function demoJpegs(): Promise<readonly Buffer[]> {
  const ffmpeg = process.env['SIGHTLINE_FFMPEG'] ?? 'ffmpeg';
  const folder = await mkdtemp(join(tmpdir(), 'sightline-page-'));
  try {
    const clip = join(folder, 'scene.mp4');
    await renderDemoScene(ffmpeg, clip);
    const child = spawn(
      ffmpeg,
      ['-loglevel', 'error', '-i', clip, '-f', 'image2pipe', '-c:v', 'mjpeg', '-q:v', '5', '-'],
      {
        stdio: ['ignore', 'pipe', 'ignore'],
      },
    );
    let all = Buffer.alloc(0);
    for await (const chunk of child.stdout) all = Buffer.concat([all, chunk as Buffer]);
    return split(all);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function split(all: Buffer): readonly Buffer[] {
  const parts: Buffer[] = [];
  const end = Buffer.from([0xff, 0xd9]);
  for (let from = 0; from < all.length;) {
    const to = all.indexOf(end, from);
    if (to < 0) break;
    parts.push(all.subarray(from, to + 2));
    from = to + 2;
  }
  return parts;
}

let models = [
  {
    name: 'yolox-nano',
    version: '1.0.0',
    state: 'ACTIVE',
    details: { precision: 'FP32', traffic_share: 1, licence: 'Apache-2.0', changed_at: '2026-11-20T10:00:00Z' },
  },
  {
    name: 'yolox-nano',
    version: '1.1.0-int8',
    state: 'SHADOW',
    details: { precision: 'INT8', agreement_ratio: 0.962, agreement_frames: 1800, traffic_share: 0 },
  },
];
let rollout: { readonly previous: null; readonly candidate: object | null } = {
  previous: null,
  candidate: {
    model: { name: 'yolox-nano', version: '1.1.0-int8' },
    mode: 'shadow',
    covered_cameras: ['camera-1', 'camera-4'],
    verdict: 'pending',
    checks: [{ verdict: 'pending', text: '120 of 200 frames seen' }],
    rows: [
      { camera_id: 'camera-1', class_name: 'person', matched: 96, only_active: 3, only_candidate: 4, agreement: 0.965 },
    ],
  },
};
