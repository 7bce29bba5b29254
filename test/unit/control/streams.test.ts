import { connect, type Socket } from 'node:net';
import { afterEach, describe, expect, onTestFinished, test, vi } from 'vitest';
import { LiveHub } from '../../../services/control/core/live-hub.ts';
import { listen } from '../../../services/control/adapters/http/server.ts';
import { readEvents } from '../../../cli/api/event-reader.ts';
import { startTestApi, type TestApi, type TestApiOptions } from '../../support/control-doubles.ts';
import { makeDetectionFrame, makeObject } from '../../support/result-records.ts';

// Real sockets, and the machine may be busy.
vi.setConfig({ testTimeout: 30_000 });

const opened: TestApi[] = [];
afterEach(async () => {
  for (const api of opened.splice(0)) await api.app.close();
});

async function start(options: TestApiOptions = {}) {
  const hub = new LiveHub(() => performance.now());
  const api = await startTestApi({ live: hub, ...options });
  opened.push(api);
  await api.cameras.create({ id: 'door', url: 'rtsp://192.0.2.1/' });
  const url = await listen(api.app, { host: '127.0.0.1', port: 0 });
  const token = api.tokenOf('admin');
  const headers = { authorization: `Bearer ${token}` };
  return { api, hub, url, token, headers };
}

/** A frame and its result, as they come by in a run. */
function emit(hub: LiveHub, frameSeq: number, jpeg = Buffer.from(`jpeg-${frameSeq}`)) {
  const record = makeDetectionFrame({ header: { camera_id: 'door', frame_seq: frameSeq } });
  hub.addPicture({ cameraId: 'door', epoch: 1, frameSeq }, jpeg);
  hub.addResult(record);
  return record;
}

const watched = (hub: LiveHub): Promise<void> =>
  vi.waitFor(() => expect(hub.wantsPicture('door')).toBe(true), { timeout: 20_000, interval: 5 });

async function open(url: string, headers: Readonly<Record<string, string>>) {
  const gone = new AbortController();
  onTestFinished(() => gone.abort());
  const answer = await fetch(url, { headers, signal: gone.signal });
  expect(answer.status).toBe(200);
  if (answer.body === null) throw new Error('no body');
  return { answer, body: answer.body, leave: () => gone.abort() };
}

describe('live pictures', () => {
  test('come as MJPEG, each whole, until the viewer leaves', async () => {
    const { api, hub, url, headers } = await start();
    const { answer, body, leave } = await open(`${url}/api/v1/cameras/door/live.mjpeg`, headers);
    expect(answer.headers.get('content-type')).toBe('multipart/x-mixed-replace; boundary=frame');
    let got = '';
    const reader = body.pipeThrough(new TextDecoderStream()).getReader();
    for (let seq = 1; seq <= 3; seq++) {
      await watched(hub);
      emit(hub, seq);
      while (!got.includes(`jpeg-${seq}\r\n`)) got += (await reader.read()).value ?? '';
    }
    expect(got).toBe(
      [1, 2, 3]
        .map((seq) => `--frame\r\ncontent-type: image/jpeg\r\ncontent-length: 6\r\n\r\njpeg-${seq}\r\n`)
        .join(''),
    );
    leave();
    // Pictures are only made for those who look.
    await vi.waitFor(() => expect(hub.wantsPicture('door')).toBe(false), { timeout: 20_000 });
    expect(api.audit.map(({ action, target }) => [action, target])).toEqual([['live.view', 'door']]);
  });

  test('come by WebSocket with the boxes of exactly their frame, and the token does not come back', async () => {
    const { hub, url, token } = await start();
    const socket = new WebSocket(`${url.replace('http', 'ws')}/api/v1/cameras/door/live`, [
      'sightline.live.v1',
      `bearer.${token}`,
    ]);
    onTestFinished(() => socket.close());
    socket.binaryType = 'arraybuffer';
    const messages: ArrayBuffer[] = [];
    socket.addEventListener('message', ({ data }) => messages.push(data as ArrayBuffer)); // of binaryType
    await watched(hub);
    await vi.waitFor(() => expect(socket.protocol).toBe('sightline.live.v1'), { timeout: 20_000 });
    // A result whose picture nobody made is not shown over another one.
    hub.addResult(makeDetectionFrame({ header: { camera_id: 'door', frame_seq: 1 } }));
    const record = emit(hub, 2);
    await vi.waitFor(() => expect(messages).toHaveLength(1), { timeout: 20_000 });
    const bytes = Buffer.from(messages[0] ?? new ArrayBuffer(0));
    const length = bytes.readUInt32BE(0);
    expect(JSON.parse(bytes.subarray(4, 4 + length).toString())).toEqual(JSON.parse(JSON.stringify(record)));
    expect(bytes.subarray(4 + length).toString()).toBe('jpeg-2');
  });

  test('come no faster than the viewer asked for, and those between are not even made', async () => {
    const { hub, url, token } = await start();
    const socket = new WebSocket(`${url.replace('http', 'ws')}/api/v1/cameras/door/live?fps=0.001`, [
      'sightline.live.v1',
      `bearer.${token}`,
    ]);
    onTestFinished(() => socket.close());
    let messages = 0;
    socket.addEventListener('message', () => messages++);
    await watched(hub);
    for (let seq = 1; seq <= 5; seq++) {
      emit(hub, seq);
      await vi.waitFor(() => expect(messages).toBe(1), { timeout: 20_000 });
      expect(hub.wantsPicture('door')).toBe(false);
    }
  });
});

describe('events', () => {
  test('a probe tells each step as it ends, then the verdict', async () => {
    const { api, url, headers } = await start();
    const answer = await fetch(`${url}/api/v1/cameras:probe`, {
      method: 'POST',
      headers: { ...headers, accept: 'text/event-stream', 'content-type': 'application/json' },
      body: JSON.stringify({ url: 'rtsp://192.0.2.1/' }),
    });
    const events = [];
    for await (const event of readEvents(answer.body ?? new ReadableStream())) events.push(event);
    expect(events.map(({ event }) => event)).toEqual(['step', 'verdict']);
    expect(JSON.parse(events[0]?.data ?? '')).toMatchObject({ step: 'dns', ok: true });
    expect(JSON.parse(events[1]?.data ?? '')).toMatchObject({ verdict: { usable: true }, cost: { fits: true } });
    expect(api.audit).toHaveLength(1);
  });

  test('a client that reads nothing holds nobody up, and gets the newest with the number that it missed', async () => {
    const { hub, url, headers } = await start();
    // Large, so that the buffers of the sockets are full soon.
    const objects = Array.from({ length: 400 }, () => makeObject());
    const record = (seq: number) =>
      makeDetectionFrame({ header: { camera_id: 'door', frame_seq: seq }, record: { objects } });
    const stalled = connect(Number(new URL(url).port), '127.0.0.1');
    onTestFinished(() => void stalled.destroy());
    stalled.write(`GET /api/v1/results HTTP/1.1\r\nhost: x\r\nauthorization: ${headers.authorization}\r\n\r\n`);
    await new Promise((resolve) => stalled.once('data', resolve));
    stalled.pause();
    const { body } = await open(`${url}/api/v1/results`, headers);
    const reading = readEvents(body);
    const system = async (): Promise<Record<string, number>> =>
      (await (await fetch(`${url}/api/v1/system`, { headers })).json()) as Record<string, number>; // of the document
    await vi.waitFor(async () => expect((await system())['result_clients']).toBe(2), { timeout: 20_000 });
    let seq = 0;
    for (let dropped = 0; dropped < 10;) {
      for (let count = 0; count < 25; count++) {
        hub.addResult(record(++seq));
        const { value } = await reading.next();
        expect(value?.event).toBe('result');
      }
      dropped = (await system())['result_events_dropped'] ?? 0;
      expect(seq, 'no event was ever dropped').toBeLessThan(5_000);
    }
    const late = await drain(stalled, `"frame_seq":${seq},`);
    const told = [...late.matchAll(/event: dropped\ndata: \{"count":(\d+)\}/g)].map(([, count]) => Number(count));
    const got = [...late.matchAll(/"frame_seq":(\d+),/g)].map(([, one]) => Number(one));
    expect(told.reduce((sum, count) => sum + count, 0)).toBe((await system())['result_events_dropped']);
    expect(got.length + told.reduce((sum, count) => sum + count, 0)).toBe(seq);
    expect(got.at(-1)).toBe(seq);
  });
});

describe('streams', () => {
  test.each(['revoked', 'expired'] as const)(
    'end when the token that opened them is %s; those of others go on',
    async (how) => {
      const { api, hub, url, headers } = await start();
      const expiresAtMs = how === 'expired' ? Date.now() + 3_000 : null;
      const token = api.tokenOf('viewer', null, expiresAtMs);
      const own = { authorization: `Bearer ${token}` };
      const mjpeg = await open(`${url}/api/v1/cameras/door/live.mjpeg`, own);
      const results = await open(`${url}/api/v1/results`, own);
      const events = await open(`${url}/api/v1/events`, { ...own, accept: 'text/event-stream' });
      const other = await open(`${url}/api/v1/results`, headers);
      const protocols = ['sightline.live.v1', `bearer.${token}`];
      const socket = new WebSocket(`${url.replace('http', 'ws')}/api/v1/cameras/door/live`, protocols);
      const closed = new Promise<number>((resolve) => socket.addEventListener('close', ({ code }) => resolve(code)));
      await new Promise((resolve) => socket.addEventListener('open', resolve));

      if (how === 'revoked') {
        const id = token.split('_')[1] ?? '';
        const answer = await fetch(`${url}/api/v1/tokens/${id}`, { method: 'DELETE', headers });
        expect(answer.status).toBe(204);
      }

      expect(await closed).toBe(1008);
      for (const { body } of [mjpeg, results, events]) await expect(readAll(body)).rejects.toThrow();
      const reading = readEvents(other.body);
      emit(hub, 1);
      expect((await reading.next()).value?.event).toBe('result');
      await vi.waitFor(() => expect(hub.wantsPicture('door')).toBe(false), { timeout: 20_000 });
    },
  );
});

async function readAll(body: ReadableStream<Uint8Array>): Promise<void> {
  const reader = body.getReader();
  while (!(await reader.read()).done);
}

/** Reads on until the text has come. */
async function drain(socket: Socket, text: string): Promise<string> {
  let got = '';
  for await (const chunk of socket.setEncoding('utf8')) {
    got += String(chunk);
    if (got.slice(-100_000).includes(text)) break;
  }
  return got;
}

describe('a client that sends its request byte by byte', () => {
  test.each([
    ['its head', 'GET /healthz HTTP/1.1\r\nhost: x\r\nx-slow: '],
    [
      'its body',
      'POST /api/v1/cameras HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 1000\r\n\r\n{',
    ],
    ['nothing at all', ''],
  ])('is cut off while it sends %s, and others are answered meanwhile', async (_what, head) => {
    const { url } = await start({ requestTimeoutMs: 300 });
    const socket = connect(Number(new URL(url).port), '127.0.0.1');
    onTestFinished(() => void socket.destroy());
    let answer = '';
    socket.on('data', (chunk) => (answer += chunk.toString()));
    // What is written to a socket that was cut off.
    socket.on('error', () => undefined);
    const closed = new Promise((resolve) => socket.once('close', resolve));
    socket.write(head);
    const drip = setInterval(() => {
      if (head !== '') socket.write('a');
    }, 20);
    onTestFinished(() => clearInterval(drip));
    expect((await fetch(`${url}/healthz`)).status).toBe(200);
    await closed;
    expect(answer).toMatch(/^(HTTP\/1\.1 4(08|01) |$)/);
  });
});
