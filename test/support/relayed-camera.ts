import { connect } from 'node:net';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { onTestFinished } from 'vitest';
import { AppError } from '#shared/core/errors';
import { systemClock } from '#shared/runtime/system-clock';
import { openCameraRelay, type CameraRelay, type RelayOptions } from '../../services/ingest/adapters/relay/index.ts';
import { parseCameraUrl } from '../../services/ingest/core/camera-url.ts';
import { startScriptedCamera, type CameraScript, type ScriptedCamera } from './scripted-rtsp-camera.ts';
import { createKeptLogger } from './silent-logger.ts';

export const canary = 'S3CR3T-canary';
/** Short, so that a test does not wait. */
const quick: RelayOptions = {
  connectTimeoutMs: 500,
  requestTimeoutMs: 300,
  silenceTimeoutMs: 300,
  consumerTimeoutMs: 2000,
};

export async function startCamera(script: CameraScript): Promise<ScriptedCamera> {
  const camera = await startScriptedCamera(script);
  onTestFinished(() => camera.stop());
  return camera;
}

export async function openRelay(url: string, options: RelayOptions = {}): Promise<CameraRelay> {
  const { logger } = createKeptLogger();
  const camera = parseCameraUrl(url, { allowHttp: true });
  const relay = await openCameraRelay(camera, { ...quick, ...options }, { logger, clock: systemClock });
  onTestFinished(() => relay.close());
  return relay;
}

export async function failureOf(url: string, options: RelayOptions = {}): Promise<AppError> {
  try {
    await openRelay(url, options);
  } catch (error) {
    if (error instanceof AppError) return error;
    throw error;
  }
  throw new Error('the relay opened');
}

export const urlOf = (camera: ScriptedCamera): string => `rtsp://user:${canary}@127.0.0.1:${camera.port}/live`;

/** Does what a decoder does up to PLAY and gives the rest of the stream when it ends. */
export async function consume(relay: CameraRelay): Promise<string> {
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
