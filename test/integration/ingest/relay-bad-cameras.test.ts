import { inspect } from 'node:util';
import { describe, expect, test } from 'vitest';
import { systemClock } from '#shared/runtime/system-clock';
import { openCameraRelay } from '../../../services/ingest/adapters/relay/index.ts';
import { reasonOf } from '../../../services/ingest/core/camera-failure.ts';
import { parseCameraUrl } from '../../../services/ingest/core/camera-url.ts';
import {
  ok,
  startScriptedCamera,
  status,
  videoSdp,
  wellBehaved,
  type CameraScript,
} from '../../support/scripted-rtsp-camera.ts';
import { createKeptLogger } from '../../support/silent-logger.ts';
import { canary, failureOf, openRelay, startCamera, urlOf } from '../../support/relayed-camera.ts';

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
    const relay = await openRelay(byName, { policy: { only: ['127.0.0.1'] } });
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
    const relay = await openRelay(urlOf(camera));
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
