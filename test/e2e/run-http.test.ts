import { execFile } from 'node:child_process';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, it, onTestFinished } from 'vitest';
import { shortSceneClip } from '../support/demo-scene-clip.ts';
import { expectFailure, prepareRun } from '../support/e2e-run.ts';
import { readDetections } from '../support/read-records.ts';
import { temporaryDirectory } from '../support/run-sightline.ts';

const ffmpeg = process.env['SIGHTLINE_FFMPEG'] ?? 'ffmpeg';
/** Four seconds, five frames each. */
const sampledFrames = 20;

async function serve(listener: RequestListener): Promise<string> {
  const server = createServer(listener);
  onTestFinished(() => {
    server.close();
    server.closeAllConnections();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  // listen() on a port gives an AddressInfo, never a pipe's name.
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

describe('sightline run on an http camera', () => {
  it('reads MJPEG behind a password, at the pace at which it comes', async () => {
    const directory = await temporaryDirectory();
    const file = path.join(directory, 'scene.mpjpeg');
    await promisify(execFile)(ffmpeg, [
      '-v',
      'error',
      '-nostdin',
      '-i',
      await shortSceneClip('h264'),
      '-q:v',
      '4',
      '-f',
      'mpjpeg',
      file,
    ]);
    const boundary = '--ffmpeg\r\n';
    const parts = (await readFile(file, 'latin1')).split(boundary).filter((part) => part !== '');
    const camera = await serve((request, response) => {
      if (request.headers.authorization !== `Basic ${Buffer.from('viewer:open').toString('base64')}`) {
        response.writeHead(401, { 'www-authenticate': 'Basic realm="camera"' }).end();
        return;
      }
      response.writeHead(200, { 'content-type': 'multipart/x-mixed-replace;boundary=ffmpeg' });
      let next = 0;
      const timer = setInterval(() => {
        const part = parts[next];
        next += 1;
        if (part !== undefined) response.write(boundary + part, 'latin1');
        else response.end();
      }, 100);
      response.on('close', () => {
        clearInterval(timer);
      });
    });
    const run = await prepareRun();
    const url = camera.replace('http://', 'http://viewer:open@');
    const ended = await run.run('--camera', `a=${url}/video`, '--allow-http', '--until-end');
    expect(ended, ended.stderr).toMatchObject({ code: 0 });
    const records = await readDetections(run.results);
    // Arrival times jitter around the sampling grid.
    const received = records.reduce((sum, record) => sum + record.accounting.frames_received, 0);
    expect(received).toBeGreaterThanOrEqual(sampledFrames - 4);
    expect(received).toBeLessThanOrEqual(sampledFrames + 4);
    expect(new Set(records.map((record) => record.header.capture_time_source))).toEqual(new Set(['ARRIVAL']));
    expect(await run.verify('--strict')).toMatchObject({ code: 0 });
  });

  it('reads HLS with its segments', async () => {
    const directory = await temporaryDirectory();
    const playlist = path.join(directory, 'live.m3u8');
    const cut = ['-c', 'copy', '-f', 'hls', '-hls_time', '1', '-hls_list_size', '0', playlist];
    await promisify(execFile)(ffmpeg, ['-v', 'error', '-nostdin', '-i', await shortSceneClip('h264'), ...cut]);
    const camera = await serve((request, response) => {
      const name = path.basename(request.url ?? '');
      readFile(path.join(directory, name)).then(
        (bytes) => response.end(bytes),
        () => response.writeHead(404).end(),
      );
    });
    const run = await prepareRun();
    const ended = await run.run('--camera', `a=${camera}/stream/live.m3u8`, '--allow-http', '--until-end');
    expect(ended, ended.stderr).toMatchObject({ code: 0 });
    const records = await readDetections(run.results);
    expect(records.reduce((sum, record) => sum + record.accounting.frames_received, 0)).toBe(sampledFrames);
    expect(await run.verify('--strict')).toMatchObject({ code: 0 });
  });

  it('refuses http unless it is allowed', async () => {
    const run = await prepareRun();
    expectFailure(await run.run('--camera', 'a=http://127.0.0.1:1/video'), 'SIGHTLINE_CAMERA_URL_INVALID', 2);
  });
});
