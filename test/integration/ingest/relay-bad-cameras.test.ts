import { connect } from 'node:net';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { inspect } from 'node:util';
import { describe, expect, onTestFinished, test } from 'vitest';
import { AppError } from '#shared/core/errors';
import { systemClock } from '#shared/runtime/system-clock';
import { openCameraRelay, type CameraRelay, type RelayOptions } from '../../../services/ingest/adapters/relay/index.ts';
import { reasonOf } from '../../../services/ingest/core/camera-failure.ts';
import { parseCameraUrl } from '../../../services/ingest/core/camera-url.ts';
import {
  ok,
  rtpFrame,
  startScriptedCamera,
  status,
  videoSdp,
  wellBehaved,
  type CameraScript,
  type ScriptedCamera,
} from '../../support/scripted-rtsp-camera.ts';
import { createKeptLogger } from '../../support/silent-logger.ts';

const canary = 'S3CR3T-canary';
const quick: RelayOptions = {
  connectTimeoutMs: 500,
  requestTimeoutMs: 300,
  silenceTimeoutMs: 300,
  consumerTimeoutMs: 2000,
};

async function startCamera(script: CameraScript): Promise<ScriptedCamera> {
  const camera = await startScriptedCamera(script);
  onTestFinished(() => camera.stop());
  return camera;
}

async function open(url: string, options: RelayOptions = {}): Promise<CameraRelay> {
  const { logger } = createKeptLogger();
  const camera = parseCameraUrl(url, { allowHttp: true });
  const relay = await openCameraRelay(camera, { ...quick, ...options }, { logger, clock: systemClock });
  onTestFinished(() => relay.close());
  return relay;
}

async function failureOf(url: string, options: RelayOptions = {}): Promise<AppError> {
  try {
    await open(url, options);
  } catch (error) {
    if (error instanceof AppError) return error;
    throw error;
  }
  throw new Error('the relay opened');
}

const urlOf = (camera: ScriptedCamera): string => `rtsp://user:${canary}@127.0.0.1:${camera.port}/live`;

/** Does what a decoder does up to PLAY and gives the rest of the stream when it ends. */
async function consume(relay: CameraRelay): Promise<string> {
  const { port, pathname } = new URL(relay.localUrl);
  const socket = connect(Number(port), '127.0.0.1');
  onTestFinished(() => void socket.destroy());
  await once(socket, 'connect');
  const url = `rtsp://127.0.0.1:${port}${pathname}`;
  socket.write(`DESCRIBE ${url} RTSP/1.0\r\nCSeq: 1\r\n\r\n`);
  socket.write(`SETUP ${url}/video RTSP/1.0\r\nCSeq: 2\r\nTransport: RTP/AVP/TCP;unicast;interleaved=0-1\r\n\r\n`);
  socket.write(`PLAY ${url} RTSP/1.0\r\nCSeq: 3\r\n\r\n`);
  socket.setEncoding('latin1');
  return text(socket);
}

describe('a camera that refuses', () => {
  const cases: readonly (readonly [string, CameraScript, string])[] = [
    [
      'says 401 to everything',
      (request) => status(request, 401, { 'WWW-Authenticate': 'Basic realm="x"' }),
      'SIGHTLINE_CAMERA_AUTH',
    ],
    [
      'says 401 with a new nonce each time',
      (request) => status(request, 401, { 'WWW-Authenticate': `Digest realm="x", nonce="${request.cseq}"` }),
      'SIGHTLINE_CAMERA_AUTH',
    ],
    ['says 404', (request) => status(request, 404), 'SIGHTLINE_CAMERA_NOT_FOUND'],
    ['says 403', (request) => status(request, 403), 'SIGHTLINE_CAMERA_AUTH'],
    ['is busy', (request) => status(request, 453), 'SIGHTLINE_CAMERA_REFUSED'],
    ['never answers', () => undefined, 'SIGHTLINE_CAMERA_TIMEOUT'],
    [
      'answers a byte now and then',
      (_request, socket) => {
        const timer = setInterval(() => socket.write('R'), 50);
        socket.on('close', () => clearInterval(timer));
        return 'RTSP/1.0 200 OK\r\nX: ';
      },
      'SIGHTLINE_CAMERA_TIMEOUT',
    ],
    ['answers with another CSeq', (request) => ok({ ...request, cseq: '4711' }), 'SIGHTLINE_CAMERA_PROTOCOL'],
    ['sends garbage', () => Buffer.alloc(2000, 0x55), 'SIGHTLINE_CAMERA_PROTOCOL'],
    ['speaks HTTP', () => 'HTTP/1.1 400 Bad Request\r\n\r\n', 'SIGHTLINE_CAMERA_PROTOCOL'],
    [
      'closes without a word',
      (_request, socket) => {
        socket.destroy();
        return undefined;
      },
      'SIGHTLINE_CAMERA_PROTOCOL',
    ],
    [
      'asks without end instead of answering',
      (_request, socket) => {
        for (let cseq = 0; cseq < 1000; cseq++) socket.write(`OPTIONS * RTSP/1.0\r\nCSeq: ${cseq}\r\n\r\n`);
        return undefined;
      },
      'SIGHTLINE_CAMERA_PROTOCOL',
    ],
    [
      'describes itself in a megabyte',
      (request) =>
        request.method === 'DESCRIBE' ? ok(request, {}, videoSdp + 'a=x:y\r\n'.repeat(150_000)) : wellBehaved(request),
      'SIGHTLINE_CAMERA_PROTOCOL',
    ],
    [
      'has no video',
      (request) =>
        request.method === 'DESCRIBE' ? ok(request, {}, 'v=0\r\nm=audio 0 RTP/AVP 0\r\n') : wellBehaved(request),
      'SIGHTLINE_CAMERA_NO_VIDEO',
    ],
    [
      'sends a codec of its own',
      (request) =>
        request.method === 'DESCRIBE' ? ok(request, {}, videoSdp.replace('H264', 'X-OWN')) : wellBehaved(request),
      'SIGHTLINE_CAMERA_CODEC_UNSUPPORTED',
    ],
    [
      'does not offer the transport',
      (request) => (request.method === 'SETUP' ? status(request, 461) : wellBehaved(request)),
      'SIGHTLINE_CAMERA_PROTOCOL',
    ],
  ];

  test.each(cases)('is told apart when it %s', async (_what, script, code) => {
    const camera = await startCamera(script);
    const error = await failureOf(urlOf(camera));
    expect(error.code).toBe(code);
    expect(reasonOf(error)).toBe(code.replace('SIGHTLINE_CAMERA_', ''));
    expect(inspect(error, { depth: 10 })).not.toContain(canary);
  });

  test('is refused when nothing listens there', async () => {
    const camera = await startScriptedCamera(wellBehaved);
    await camera.stop();
    expect((await failureOf(urlOf(camera))).code).toBe('SIGHTLINE_CAMERA_REFUSED');
  });

  test('is unknown when its name is', async () => {
    expect((await failureOf('rtsp://no-such-camera.invalid/')).code).toBe('SIGHTLINE_CAMERA_DNS');
  });

  test('fails as TLS when the port speaks plain RTSP', async () => {
    const camera = await startCamera(wellBehaved);
    const error = await failureOf(`rtsps://127.0.0.1:${camera.port}/live`);
    expect(error.code).toBe('SIGHTLINE_CAMERA_TLS');
  });

  test('is not connected to at an address that the policy refuses', async () => {
    const camera = await startCamera(wellBehaved);
    const error = await failureOf(urlOf(camera), { policy: { denyLoopback: true } });
    expect(error.code).toBe('SIGHTLINE_CAMERA_NOT_ALLOWED');
    expect(camera.connections()).toBe(0);
  });

  test('is judged by the addresses of its name, and only the allowed ones are connected to', async () => {
    const camera = await startCamera(wellBehaved);
    const byName = `rtsp://localhost:${camera.port}/live`;
    expect((await failureOf(byName, { policy: { denyLoopback: true } })).code).toBe('SIGHTLINE_CAMERA_NOT_ALLOWED');
    expect(camera.connections()).toBe(0);
    const relay = await open(byName, { policy: { only: ['127.0.0.1'] } });
    expect(relay.facts.remoteAddress).toBe('127.0.0.1');
  });

  test('ends the opening at once when the caller gives up', async () => {
    const camera = await startCamera(() => undefined);
    const { logger } = createKeptLogger();
    const giveUp = new AbortController();
    const opening = openCameraRelay(
      parseCameraUrl(urlOf(camera)),
      { requestTimeoutMs: 60_000 },
      { logger, clock: systemClock, signal: giveUp.signal },
    );
    giveUp.abort(new Error('the caller gave up'));
    await expect(opening).rejects.toThrow('the caller gave up');
  });
});

describe('a camera that redirects', () => {
  const redirecting =
    (location: string): CameraScript =>
    (request) =>
      request.method === 'DESCRIBE' ? status(request, 302, { Location: location }) : wellBehaved(request);

  test('is followed to where the stream is', async () => {
    const target = await startCamera(wellBehaved);
    const camera = await startCamera(redirecting(`rtsp://127.0.0.1:${target.port}/other`));
    const relay = await open(urlOf(camera));
    expect(relay.facts.redirects).toBe(1);
    expect(target.requests.map(({ method }) => method)).toEqual(['OPTIONS', 'DESCRIBE', 'SETUP']);
  });

  test.each([
    'rtsp://169.254.169.254/latest',
    'rtsp://[::ffff:169.254.169.254]/latest',
    'rtsp://0.0.0.0/x',
    'http://127.0.0.1/x',
    'file:///etc/passwd',
  ])('is not followed to %s', async (location) => {
    const camera = await startCamera(redirecting(location));
    expect((await failureOf(urlOf(camera))).code).toBe('SIGHTLINE_CAMERA_NOT_ALLOWED');
  });

  test('is not followed to an address of ours that the policy refuses', async () => {
    const canaryListener = await startCamera(wellBehaved);
    const camera = await startCamera(redirecting(`rtsp://[::1]:${canaryListener.port}/x`));
    const error = await failureOf(urlOf(camera), { policy: { only: ['127.0.0.1/32'] } });
    expect(error.code).toBe('SIGHTLINE_CAMERA_NOT_ALLOWED');
    expect(canaryListener.connections()).toBe(0);
  });

  test('is given up after three turns', async () => {
    let port = 0;
    const camera = await startCamera((request, socket) =>
      redirecting(`rtsp://127.0.0.1:${port}/again`)(request, socket),
    );
    port = camera.port;
    expect((await failureOf(urlOf(camera))).message).toContain('redirects more than 3 times');
    expect(camera.connections()).toBe(4);
  });

  test('does not make us tell the password in clear to another host', async () => {
    const target = await startCamera((request) => status(request, 401, { 'WWW-Authenticate': 'Basic realm="x"' }));
    const camera = await startCamera(redirecting(`rtsp://localhost:${target.port}/x`));
    expect((await failureOf(urlOf(camera))).code).toBe('SIGHTLINE_CAMERA_AUTH');
    expect(target.requests.map((request) => request.text).join()).not.toContain('Authorization');
  });
});

describe('a camera that goes wrong while it plays', () => {
  const playing =
    (onPlay: CameraScript): CameraScript =>
    (request, socket) =>
      request.method === 'PLAY' ? onPlay(request, socket) : wellBehaved(request);

  test('ends the relay as stalled when it sends nothing', async () => {
    const camera = await startCamera(playing((request) => ok(request)));
    const relay = await open(urlOf(camera));
    await consume(relay);
    expect(await relay.closed).toMatchObject({ reason: 'STALLED', error: { code: 'SIGHTLINE_CAMERA_TIMEOUT' } });
    expect(camera.requests.map(({ method }) => method)).toContain('TEARDOWN');
  });

  test('ends the stream when it closes, with all that it sent handed on', async () => {
    const sent = [1, 2, 3].map((sequence) => rtpFrame(sequence, sequence * 3600, Buffer.from(`picture ${sequence}`)));
    const camera = await startCamera(
      playing((request, socket) => {
        socket.end(Buffer.concat([Buffer.from(ok(request)), ...sent]));
        return undefined;
      }),
    );
    const relay = await open(urlOf(camera));
    expect(await consume(relay)).toContain(Buffer.concat(sent).toString('latin1'));
    expect(await relay.closed).toMatchObject({ reason: 'END_OF_STREAM', error: null });
    expect(relay.stats()).toMatchObject({ packets: 3, packetsLost: 0 });
  });

  test('ends the stream when it says goodbye by RTCP', async () => {
    const goodbye = Buffer.from('2401001080c90001deadbeef81cb0001deadbeef', 'hex');
    const camera = await startCamera(
      playing((request) => Buffer.concat([Buffer.from(ok(request)), rtpFrame(1, 1, Buffer.from('x')), goodbye])),
    );
    const relay = await open(urlOf(camera));
    await consume(relay);
    expect(await relay.closed).toMatchObject({ reason: 'END_OF_STREAM' });
  });

  test('is unreachable when it closes before it sent anything', async () => {
    const camera = await startCamera(
      playing((_request, socket) => {
        socket.destroy();
        return undefined;
      }),
    );
    const relay = await open(urlOf(camera));
    await consume(relay);
    expect((await relay.closed).error).not.toBeNull();
  });

  test('is put right where garbage lies between its packets', async () => {
    const first = rtpFrame(1, 3600, Buffer.from('one'));
    const second = rtpFrame(2, 7200, Buffer.from('two'));
    const camera = await startCamera(
      playing((request, socket) => {
        socket.end(Buffer.concat([Buffer.from(ok(request)), first, Buffer.from('??garbage??'), second]));
        return undefined;
      }),
    );
    const relay = await open(urlOf(camera));
    expect(await consume(relay)).toContain(Buffer.concat([first, second]).toString('latin1'));
    expect(relay.stats()).toMatchObject({ packets: 2, bytesSkipped: 11 });
  });

  test('is given up when it sends nothing but garbage', async () => {
    const camera = await startCamera(
      playing((request) => Buffer.concat([Buffer.from(ok(request)), Buffer.alloc(600_000, 0x55)])),
    );
    const relay = await open(urlOf(camera), { silenceTimeoutMs: 5000 });
    await consume(relay);
    expect(await relay.closed).toMatchObject({ reason: 'PROTOCOL' });
  });

  test('is made to wait while the decoder does not read', async () => {
    const packet = rtpFrame(0, 0, Buffer.alloc(60_000));
    const camera = await startCamera(
      playing((request, socket) => {
        socket.write(ok(request));
        const pour = (): void => {
          while (!socket.destroyed && socket.write(packet));
        };
        socket.on('drain', pour);
        pour();
        return undefined;
      }),
    );
    const relay = await open(urlOf(camera), { silenceTimeoutMs: 60_000 });
    const { port, pathname } = new URL(relay.localUrl);
    const socket = connect(Number(port), '127.0.0.1');
    onTestFinished(() => void socket.destroy());
    socket.write(`PLAY rtsp://127.0.0.1:${port}${pathname} RTSP/1.0\r\nCSeq: 1\r\n\r\n`);
    // Nobody reads `socket`: what flows stops when the buffers of the system and the limit of the relay are full.
    let before = -1;
    while (relay.stats().bytes !== before || before <= 0) {
      before = relay.stats().bytes;
      await systemClock.sleep(100);
    }
    expect(process.memoryUsage().arrayBuffers).toBeLessThan(200 * 1024 * 1024);
    // It goes on when the decoder reads again.
    socket.resume();
    await expect.poll(() => relay.stats().bytes, { timeout: 5000 }).toBeGreaterThan(before + 1_000_000);
  });
});

test('a camera hears from us before its session times out', async () => {
  const camera = await startCamera((request, socket) => {
    if (request.method === 'SETUP') {
      return ok(request, { Session: 'abc;timeout=4', Transport: 'RTP/AVP/TCP;unicast;interleaved=0-1' });
    }
    if (request.method === 'PLAY') socket.write(rtpFrame(1, 1, Buffer.from('x')));
    return wellBehaved(request);
  });
  const relay = await open(urlOf(camera), { silenceTimeoutMs: 20_000 });
  const served = consume(relay);
  const heard = (): string[] => camera.requests.map(({ method }) => method);
  await expect.poll(heard, { timeout: 10_000 }).toContain('GET_PARAMETER');
  expect(camera.requests.at(-1)?.text).toContain('Session: abc');
  await relay.close();
  await served;
});

describe('the local side', () => {
  test('turns away whoever does not bring the token, and serves the one who does', async () => {
    const camera = await startCamera(wellBehaved);
    const relay = await open(urlOf(camera));
    const port = Number(new URL(relay.localUrl).port);
    const stranger = connect(port, '127.0.0.1');
    stranger.write('DESCRIBE rtsp://127.0.0.1/00000000000000000000000000000000 RTSP/1.0\r\nCSeq: 1\r\n\r\n');
    expect(await text(stranger)).toMatch(/^RTSP\/1\.0 404/);
    expect(await consume(relay)).toContain('m=video');
  });

  test('does not listen any more once it is served', async () => {
    const camera = await startCamera(wellBehaved);
    const relay = await open(urlOf(camera), { silenceTimeoutMs: 5000 });
    const served = consume(relay);
    await expect.poll(() => camera.requests.map(({ method }) => method)).toContain('PLAY');
    const late = connect(Number(new URL(relay.localUrl).port), '127.0.0.1');
    const [error] = (await once(late, 'error')) as [NodeJS.ErrnoException];
    expect(error.code).toBe('ECONNREFUSED');
    await relay.close();
    await served;
  });

  test('leaves the camera when nobody comes', async () => {
    const camera = await startCamera(wellBehaved);
    const relay = await open(urlOf(camera), { consumerTimeoutMs: 100 });
    expect(await relay.closed).toMatchObject({ reason: 'STOPPED', text: 'nobody fetched the stream' });
    await expect.poll(() => camera.requests.map(({ method }) => method)).toContain('TEARDOWN');
  });

  test('says nothing of the camera or its password', async () => {
    const camera = await startCamera(wellBehaved);
    const relay = await open(urlOf(camera));
    const everything = relay.localUrl + inspect(relay, { depth: 6 }) + (await consume(relay));
    expect(everything).not.toContain(canary);
  });

  test('closes twice with one farewell', async () => {
    const camera = await startCamera(wellBehaved);
    const relay = await open(urlOf(camera));
    await Promise.all([relay.close(), relay.close()]);
    expect(await relay.closed).toMatchObject({ reason: 'STOPPED' });
    expect(camera.requests.filter(({ method }) => method === 'TEARDOWN')).toHaveLength(1);
  });
});
