import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile, mkdtemp, readdir, rm } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { text } from 'node:stream/consumers';
import { inspect, promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest';
import { systemClock } from '#shared/runtime/system-clock';
import { openCameraRelay, type CameraRelay, type RelayOptions } from '../../../services/ingest/adapters/relay/index.ts';
import { parseCameraUrl } from '../../../services/ingest/core/camera-url.ts';
import { hasRtspServer, startRtspServer, type RtspServer, type RtspServerOptions } from '../../support/rtsp-server.ts';
import { createKeptLogger } from '../../support/silent-logger.ts';
import { testDataPath } from '../../support/test-data.ts';
import { hasVlcServer, startVlcServer } from '../../support/vlc-server.ts';

const run = promisify(execFile);
const canary = 'S3CR3T-canary';
/** 41 pictures with B-frames at 12 fps, and 377 of Baseline at 12.5. */
const shortClip = testDataPath('videos/person-bicycle-car-detection-preview.mp4');
const longClip = testDataPath('videos/car-detection.mp4');

let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sightline-relay-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

async function serve(options: RtspServerOptions): Promise<RtspServer> {
  const server = await startRtspServer(options);
  onTestFinished(() => server.stop());
  return server;
}

async function open(url: string, options: RelayOptions = {}): Promise<CameraRelay> {
  const { logger } = createKeptLogger();
  const camera = parseCameraUrl(url, { allowHttp: true });
  const relay = await openCameraRelay(camera, options, { logger, clock: systemClock });
  onTestFinished(() => relay.close());
  return relay;
}

function inputArguments(relay: CameraRelay): string[] {
  const isRtsp = relay.localUrl.startsWith('rtsp');
  const rtsp = ['-f', 'rtsp', '-rtsp_transport', 'tcp', '-allowed_media_types', 'video'];
  return [...(isRtsp ? rtsp : []), '-i', relay.localUrl];
}

/** md5 of each decoded picture. */
async function pictureSums(input: readonly string[], more: readonly string[] = []): Promise<string[]> {
  const output = ['-map', '0:v', ...more, '-fps_mode', 'passthrough', '-f', 'framemd5', '-'];
  const { stdout } = await run('ffmpeg', ['-v', 'error', '-nostdin', ...input, ...output]);
  return stdout
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line) => line.split(',').at(-1)?.trim() ?? '');
}

async function encode(codec: 'libx265' | 'mjpeg', name: string): Promise<string> {
  const path = join(folder, name);
  const options =
    codec === 'mjpeg' ? ['-pix_fmt', 'yuvj420p', '-huffman', 'default'] : ['-x265-params', 'log-level=none:keyint=12'];
  await run('ffmpeg', ['-v', 'error', '-nostdin', '-y', '-i', shortClip ?? '', '-an', '-c:v', codec, ...options, path]);
  return path;
}

/** Command lines of all that this process started, directly or not. */
async function descendantCommandLines(): Promise<string[]> {
  const parents = new Map<number, number>();
  const lines = new Map<number, string>();
  for (const entry of await readdir('/proc')) {
    const pid = Number(entry);
    if (!Number.isInteger(pid)) continue;
    const [stat, line] = await Promise.all(
      ['stat', 'cmdline'].map((file) => readFile(`/proc/${pid}/${file}`, 'utf8').catch(() => '')),
    );
    parents.set(pid, Number(stat?.slice(stat.lastIndexOf(')') + 2).split(' ')[1]));
    lines.set(pid, line ?? '');
  }
  const isOurs = (pid: number): boolean => {
    for (let up = parents.get(pid) ?? 0; up > 1; up = parents.get(up) ?? 0) if (up === process.pid) return true;
    return false;
  };
  return [...lines].filter(([pid]) => isOurs(pid)).map(([, line]) => line.replaceAll('\0', ' '));
}

describe.skipIf(!hasRtspServer() || shortClip === undefined || longClip === undefined)('GStreamer', () => {
  test('every picture comes through the relay as it is in the file, B-frames and all', async () => {
    const server = await serve({ clip: shortClip ?? '', loop: false, audio: true });
    const relay = await open(server.url, { silenceTimeoutMs: 2000 });
    const [relayed, direct] = await Promise.all([
      pictureSums(inputArguments(relay)),
      pictureSums(['-i', shortClip ?? '']),
    ]);
    expect(relayed).toEqual(direct);
    expect(relay.stats()).toMatchObject({ packetsLost: 0, bytesSkipped: 0 });
  });

  test.each([
    { transport: 'tcp', auth: 'digest' },
    { transport: 'tcp', auth: 'basic' },
    { transport: 'udp', auth: 'digest' },
    { transport: 'udp', auth: 'basic' },
  ] as const)(
    'plays over $transport with $auth, and the password is nowhere to be seen',
    async ({ transport, auth }) => {
      const server = await serve({ clip: longClip ?? '', user: 'user', password: canary, auth });
      const { logger, lines } = createKeptLogger();
      const camera = parseCameraUrl(server.urlWithCredentials);
      const relay = await openCameraRelay(camera, { transport }, { logger, clock: systemClock });
      onTestFinished(() => relay.close());
      const decoder = spawn('ffmpeg', [
        '-v',
        'verbose',
        '-nostdin',
        ...inputArguments(relay),
        '-frames:v',
        '20',
        '-f',
        'null',
        '-',
      ]);
      onTestFinished(() => void decoder.kill('SIGKILL'));
      const printed = text(decoder.stderr);
      await expect.poll(() => relay.stats().packets, { timeout: 10_000 }).toBeGreaterThan(5);
      // The test server is given the password on its command line; nothing of ours is.
      const commandLines = (await descendantCommandLines()).filter((line) => !line.includes('rtsp-server.py'));
      expect(commandLines.some((line) => line.includes('ffmpeg') && line.includes(relay.localUrl))).toBe(true);
      await once(decoder, 'exit');
      expect(decoder.exitCode).toBe(0);
      expect(relay.facts).toMatchObject({ codec: 'h264', authScheme: auth, transport, declaredFps: 12.5 });
      const seen = [
        ...commandLines,
        ...lines,
        await printed,
        inspect(relay, { depth: 8 }),
        JSON.stringify(await relay.closed),
      ];
      expect(seen.join('\n')).not.toContain(canary);
      expect(seen.join('\n')).not.toContain(Buffer.from(`user:${canary}`).toString('base64'));
    },
  );

  test.each([
    ['hevc', 'libx265', 'clip.mkv'],
    ['mjpeg', 'mjpeg', 'clip.avi'],
  ] as const)('decodes %s', async (codec, encoder, name) => {
    const clip = await encode(encoder, name);
    const server = await serve({ clip });
    const relay = await open(server.url);
    expect(relay.facts.codec).toBe(codec);
    expect(await pictureSums(inputArguments(relay), ['-frames:v', '15'])).toHaveLength(15);
  });

  test('plays over TLS with a certificate that it was told to trust, and refuses it otherwise', async () => {
    const certificateFile = join(folder, 'cert.pem');
    const keyFile = join(folder, 'key.pem');
    const name = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1'];
    const kind = ['-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2'];
    await run('openssl', ['req', ...kind, ...name, '-keyout', keyFile, '-out', certificateFile]);
    const server = await serve({ clip: longClip ?? '', tls: { certificateFile, keyFile } });
    const byName = server.url.replace('127.0.0.1', 'localhost');
    await expect(open(byName)).rejects.toMatchObject({ code: 'SIGHTLINE_CAMERA_TLS' });
    expect((await open(byName, { tlsInsecure: true })).facts.isEncrypted).toBe(true);
    const relay = await open(byName, { tlsCa: await readFile(certificateFile, 'utf8') });
    expect(await pictureSums(inputArguments(relay), ['-frames:v', '5'])).toHaveLength(5);
  });

  test('tells the capture time from sender reports, and it is the time at which the server sent the picture', async () => {
    const server = await serve({ clip: longClip ?? '' });
    const relay = await open(server.url);
    const output = ['-vf', 'showinfo', '-frames:v', '300', '-f', 'null', '-'];
    // Without the analysis that holds back the first seconds, a picture comes out as soon as it was sent.
    const fast = ['-analyzeduration', '0', '-fpsprobesize', '0', '-flags', 'low_delay', '-threads', '1'];
    const decoder = spawn('ffmpeg', ['-nostdin', '-copyts', ...fast, ...inputArguments(relay), ...output]);
    onTestFinished(() => void decoder.kill('SIGKILL'));
    const agesMs: number[] = [];
    decoder.stderr.setEncoding('utf8').on('data', (chunk: string) => {
      for (const [, seconds] of chunk.matchAll(/pts_time:([\d.]+)/g)) {
        const nowUs = systemClock.nowUs();
        const estimate = relay.captureClock.captureTimeOf(Number(seconds) * 1_000_000, nowUs);
        if (estimate.source === 'RTCP_SR') agesMs.push((nowUs - estimate.captureTimeUs) / 1000);
      }
    });
    // The first report comes after some seconds.
    await expect.poll(() => agesMs.length, { timeout: 20_000 }).toBeGreaterThan(20);
    // No picture is seen before it was captured; the bound leaves room for a busy machine, a wrong zero would be off by more.
    const freshest = Math.min(...agesMs);
    expect(freshest).toBeGreaterThan(-50);
    expect(freshest).toBeLessThan(1000);
    expect(relay.captureClock).toMatchObject({ source: 'RTCP_SR', isCameraClockAbsurd: false });
    expect(Math.abs(relay.captureClock.clockOffsetMs ?? Infinity)).toBeLessThan(1000);
  });

  test('ends when the camera loses power', async () => {
    const server = await serve({ clip: longClip ?? '' });
    const relay = await open(server.url);
    const decoder = spawn('ffmpeg', ['-v', 'error', '-nostdin', ...inputArguments(relay), '-f', 'null', '-']);
    onTestFinished(() => void decoder.kill('SIGKILL'));
    await expect.poll(() => relay.stats().packets, { timeout: 10_000 }).toBeGreaterThan(20);
    await server.stop();
    expect(['END_OF_STREAM', 'UNREACHABLE']).toContain((await relay.closed).reason);
    await once(decoder, 'exit');
  });
});

describe.skipIf(!hasVlcServer() || longClip === undefined)('VLC', () => {
  test('plays over UDP with a clock by sender reports, and refuses TCP with a hint', async () => {
    const server = await startVlcServer(longClip ?? '');
    onTestFinished(() => server.stop());
    // Until its stream is set up VLC answers with an error of its own.
    const relay = await vi.waitFor(() => open(server.url, { transport: 'udp' }), { timeout: 10_000, interval: 250 });
    // Its first report comes after some seconds.
    expect(await pictureSums(inputArguments(relay), ['-frames:v', '90'])).toHaveLength(90);
    expect(relay.captureClock.source).toBe('RTCP_SR');
    await expect(open(server.url)).rejects.toMatchObject({
      code: 'SIGHTLINE_CAMERA_PROTOCOL',
      action: expect.stringContaining('udp') as string,
    });
  });
});

describe.skipIf(shortClip === undefined)('http cameras', () => {
  const basic = `Basic ${Buffer.from(`user:${canary}`).toString('base64')}`;

  async function listen(server: Server): Promise<string> {
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    onTestFinished(() => {
      server.closeAllConnections();
      server.close();
    });
    return `http://user:${canary}@127.0.0.1:${(server.address() as AddressInfo).port}`;
  }

  test('plays MJPEG behind a password and a redirect', async () => {
    const clip = await encode('mjpeg', 'http.avi');
    const server = createServer((request, response) => {
      if (request.headers.authorization !== basic) {
        response.writeHead(401, { 'WWW-Authenticate': 'Basic realm="cam"' }).end();
        return;
      }
      if (request.url === '/') {
        response.writeHead(302, { Location: '/video/stream.cgi?x=1' }).end();
        return;
      }
      response.writeHead(200, { 'Content-Type': 'multipart/x-mixed-replace;boundary=ffmpeg' });
      const feeder = spawn('ffmpeg', [
        '-v',
        'error',
        '-nostdin',
        '-re',
        '-i',
        clip,
        '-c',
        'copy',
        '-f',
        'mpjpeg',
        'pipe:1',
      ]);
      response.on('close', () => feeder.kill('SIGKILL'));
      feeder.stdout.pipe(response);
    });
    const relay = await open(await listen(server));
    expect(relay.facts).toMatchObject({ transport: 'http', authScheme: 'basic', redirects: 1 });
    expect(await pictureSums(inputArguments(relay), ['-frames:v', '20'])).toHaveLength(20);
    expect(await relay.closed).toMatchObject({ reason: 'STOPPED' });
  });

  test('plays HLS through relative segments, and ends when the decoder left', async () => {
    const playlist = join(folder, 'stream.m3u8');
    const cut = ['-c', 'copy', '-f', 'hls', '-hls_time', '1', '-hls_list_size', '0', playlist];
    await run('ffmpeg', ['-v', 'error', '-nostdin', '-y', '-i', shortClip ?? '', ...cut]);
    const server = createServer((request, response) => {
      if (request.headers.authorization !== basic) {
        response.writeHead(401, { 'WWW-Authenticate': 'Basic realm="cam"' }).end();
        return;
      }
      readFile(join(folder, basename(request.url ?? ''))).then(
        (bytes) => response.end(bytes),
        () => response.writeHead(404).end(),
      );
    });
    const origin = await listen(server);
    const relay = await open(`${origin}/hls/stream.m3u8`);
    expect(await pictureSums(inputArguments(relay))).toEqual(await pictureSums(['-i', shortClip ?? '']));
    // In here, where nothing has to start: a decoder on a busy machine may need longer for its first question than one waits for one that left.
    const left = await open(`${origin}/hls/stream.m3u8`, { consumerTimeoutMs: 1_000 });
    expect(await (await fetch(left.localUrl)).text()).toContain('#EXTM3U');
    expect(await left.closed).toMatchObject({ reason: 'STOPPED' });
    await expect(open(`${origin.replace(canary, 'wrong')}/hls/stream.m3u8`)).rejects.toMatchObject({
      code: 'SIGHTLINE_CAMERA_AUTH',
    });
    await expect(open(`${origin}/hls/other.m3u8`)).rejects.toMatchObject({ code: 'SIGHTLINE_CAMERA_NOT_FOUND' });
  });

  test.each(['http://169.254.169.254/latest', 'rtsp://127.0.0.1/x', 'file:///etc/passwd'])(
    'is not followed to %s',
    async (location) => {
      const server = createServer((_request, response) => response.writeHead(302, { Location: location }).end());
      await expect(open(await listen(server))).rejects.toMatchObject({ code: 'SIGHTLINE_CAMERA_NOT_ALLOWED' });
    },
  );
});
