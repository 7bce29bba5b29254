import { connect } from 'node:net';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { inspect } from 'node:util';
import { describe, expect, onTestFinished, test } from 'vitest';
import { systemClock } from '#shared/runtime/system-clock';
import { ok, rtpFrame, wellBehaved, type CameraScript } from '../../support/scripted-rtsp-camera.ts';
import { canary, consume, openRelay, startCamera, urlOf } from '../../support/relayed-camera.ts';

describe('a camera that goes wrong while it plays', () => {
  const playing =
    (onPlay: CameraScript): CameraScript =>
    (request, socket) =>
      request.method === 'PLAY' ? onPlay(request, socket) : wellBehaved(request);

  test('ends the relay as stalled when it sends nothing', async () => {
    const camera = await startCamera(playing((request) => ok(request)));
    const relay = await openRelay(urlOf(camera));
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
    const relay = await openRelay(urlOf(camera));
    expect(await consume(relay)).toContain(Buffer.concat(sent).toString('latin1'));
    expect(await relay.closed).toMatchObject({ reason: 'END_OF_STREAM', error: null });
    expect(relay.stats()).toMatchObject({ packets: 3, packetsLost: 0 });
  });

  test('ends the stream when it says goodbye by RTCP', async () => {
    const goodbye = Buffer.from('2401001080c90001deadbeef81cb0001deadbeef', 'hex');
    const camera = await startCamera(
      playing((request) => Buffer.concat([Buffer.from(ok(request)), rtpFrame(1, 1, Buffer.from('x')), goodbye])),
    );
    const relay = await openRelay(urlOf(camera));
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
    const relay = await openRelay(urlOf(camera));
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
    const relay = await openRelay(urlOf(camera));
    expect(await consume(relay)).toContain(Buffer.concat([first, second]).toString('latin1'));
    expect(relay.stats()).toMatchObject({ packets: 2, bytesSkipped: 11 });
  });

  test('is given up when it sends nothing but garbage', async () => {
    const camera = await startCamera(
      playing((request) => Buffer.concat([Buffer.from(ok(request)), Buffer.alloc(600_000, 0x55)])),
    );
    const relay = await openRelay(urlOf(camera), { silenceTimeoutMs: 5000 });
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
    const relay = await openRelay(urlOf(camera), { silenceTimeoutMs: 60_000 });
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
  const relay = await openRelay(urlOf(camera), { silenceTimeoutMs: 20_000 });
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
    const relay = await openRelay(urlOf(camera));
    const port = Number(new URL(relay.localUrl).port);
    const stranger = connect(port, '127.0.0.1');
    stranger.write('DESCRIBE rtsp://127.0.0.1/00000000000000000000000000000000 RTSP/1.0\r\nCSeq: 1\r\n\r\n');
    expect(await text(stranger)).toMatch(/^RTSP\/1\.0 404/);
    expect(await consume(relay)).toContain('m=video');
  });

  test('does not listen any more once it is served', async () => {
    const camera = await startCamera(wellBehaved);
    const relay = await openRelay(urlOf(camera), { silenceTimeoutMs: 5000 });
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
    const relay = await openRelay(urlOf(camera), { consumerTimeoutMs: 100 });
    expect(await relay.closed).toMatchObject({ reason: 'STOPPED', text: 'nobody fetched the stream' });
    await expect.poll(() => camera.requests.map(({ method }) => method)).toContain('TEARDOWN');
  });

  test('says nothing of the camera or its password', async () => {
    const camera = await startCamera(wellBehaved);
    const relay = await openRelay(urlOf(camera));
    const everything = relay.localUrl + inspect(relay, { depth: 6 }) + (await consume(relay));
    expect(everything).not.toContain(canary);
  });

  test('closes twice with one farewell', async () => {
    const camera = await startCamera(wellBehaved);
    const relay = await openRelay(urlOf(camera));
    await Promise.all([relay.close(), relay.close()]);
    expect(await relay.closed).toMatchObject({ reason: 'STOPPED' });
    expect(camera.requests.filter(({ method }) => method === 'TEARDOWN')).toHaveLength(1);
  });
});
