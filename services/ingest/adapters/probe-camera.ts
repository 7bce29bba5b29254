import { stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { ReasonCode } from '#schemas';
import type { Clock } from '#shared/core/clock';
import { AppError } from '#shared/core/errors';
import type { Logger } from '#shared/core/logger';
import { redactUrl, scrubSecrets } from '#shared/core/redact';
import { reasonOf } from '../core/camera-failure.ts';
import { looksLikeUrl, parseCameraUrl, type CameraAddress, type CameraUrlRules } from '../core/camera-url.ts';
import {
  buildProbeVerdict,
  failedStep,
  type ProbeFindings,
  type ProbeStep,
  type ProbeStepName,
  type ProbeVerdict,
} from '../core/probe-verdict.ts';
import { probeVideo, type ProbedVideo } from './fluent-ffmpeg-probe.ts';
import { openCameraRelay, type CameraRelay, type RelayOptions } from './relay/index.ts';

export interface ProbeOptions extends CameraUrlRules {
  readonly relay?: Omit<RelayOptions, 'onStep' | 'observePictures'>;
  /** For everything together. Default 5000. */
  readonly timeoutMs?: number;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly signal?: AbortSignal;
  /** Told of each step when it ends, the failed one too. */
  readonly onStep?: (step: ProbeStep) => void;
}

interface Failure {
  readonly reason: ReasonCode;
  readonly text: string;
  readonly action: string;
}

const defaultTimeoutMs = 5_000;
/** Kept back from the time limit for leaving the camera. */
const leaveMs = 600;
const checkMs = 25;
/** Of a camera; the time limit of the probe comes first. */
const watchSeconds = 60;
/** Long enough for a rate that means something. */
const minimumWatchMs = 1_500;
/** Of a file, as it is read without waiting. */
const readFileSeconds = 20;
const readAgainSeconds = 3;
/** What ffprobe may read before it says what it saw; a live camera gives a key frame every 1 to 4 s. */
const analyseUs = 1_500_000;
const badFile = {
  empty: { reason: 'NO_VIDEO', text: 'the file is empty', action: 'Give a file with video in it.' },
  unknown: {
    reason: 'NO_VIDEO',
    text: 'ffmpeg does not find a video format in the file: it is no video, or its head is missing',
    action: 'Check the file with ffprobe; copy it again if it was cut off.',
  },
  noVideo: { reason: 'NO_VIDEO', text: 'the file has no video stream', action: 'Give a file with video in it.' },
  undecodable: {
    reason: 'CORRUPT',
    text: 'the file says that it has video, but no picture of it can be decoded',
    action: 'Copy or record the file again.',
  },
} as const satisfies Record<string, Failure>;

/** Tries a camera or a file and says in a few seconds whether it can be used, or why not and what to do. Never rejects for a bad camera. */
export async function probeCamera(target: string, options: ProbeOptions): Promise<ProbeVerdict> {
  const probe = new Probe(options);
  if (!looksLikeUrl(target)) return probe.finish(target, await probeFile(probe, target, options));
  let camera: CameraAddress;
  try {
    camera = parseCameraUrl(target, options);
  } catch (error) {
    const failure = toFailure(error, target);
    probe.step('url', false, failure.text);
    return probe.finish(redactUrl(target), failure);
  }
  return probe.finish(camera.display, await probeNetworkCamera(probe, camera, options));
}

/** What was found out so far. */
class Probe {
  readonly #options: ProbeOptions;
  readonly #startedMs: number;
  readonly #steps: ProbeStep[] = [];
  #findings: Partial<ProbeFindings> = {};
  #stepStartedMs: number;

  constructor(options: ProbeOptions) {
    this.#options = options;
    this.#startedMs = options.clock.monotonicMs();
    this.#stepStartedMs = this.#startedMs;
  }

  get remainingMs(): number {
    return (this.#options.timeoutMs ?? defaultTimeoutMs) - (this.#options.clock.monotonicMs() - this.#startedMs);
  }

  get done(): ProbeStepName[] {
    return this.#steps.map(({ step }) => step);
  }

  step(step: ProbeStepName, ok: boolean, detail: string, durationMs?: number): void {
    const nowMs = this.#options.clock.monotonicMs();
    const entry = { step, ok, duration_ms: Math.round(durationMs ?? nowMs - this.#stepStartedMs), detail };
    this.#stepStartedMs = nowMs;
    this.#steps.push(entry);
    this.#options.onStep?.(entry);
  }

  find(findings: Partial<ProbeFindings>): void {
    this.#findings = { ...this.#findings, ...findings };
  }

  finish(target: string, failure: Failure | null): ProbeVerdict {
    const durationMs = this.#options.clock.monotonicMs() - this.#startedMs;
    return buildProbeVerdict({ target, steps: this.#steps, findings: this.#findings, failure, durationMs });
  }
}

async function probeNetworkCamera(probe: Probe, camera: CameraAddress, options: ProbeOptions): Promise<Failure | null> {
  const isEncrypted = camera.scheme === 'rtsps' || camera.scheme === 'https';
  const timeLimit = AbortSignal.timeout(Math.max(1, Math.floor(probe.remainingMs - leaveMs)));
  const signal = options.signal === undefined ? timeLimit : AbortSignal.any([options.signal, timeLimit]);
  let relay: CameraRelay | undefined;
  try {
    relay = await openCameraRelay(
      camera,
      {
        ...options.relay,
        observePictures: true,
        onStep: ({ step, durationMs, detail }) => probe.step(step, true, detail, durationMs),
      },
      { logger: options.logger, clock: options.clock, signal },
    );
    return await watchStream(probe, relay, signal, options);
  } catch (error) {
    const failure = signal.aborted ? outOfTime('the camera did not get as far as a description') : toFailure(error);
    probe.step(failedStep(failure.reason, probe.done, isEncrypted), false, failure.text);
    return failure;
  } finally {
    await relay?.close();
  }
}

/** Lets ffprobe look at the stream while the relay counts pictures, until both know enough or the time is over. */
async function watchStream(
  probe: Probe,
  relay: CameraRelay,
  signal: AbortSignal,
  options: ProbeOptions,
): Promise<Failure | null> {
  const { facts } = relay;
  probe.find({
    codec: facts.codec,
    width_px: facts.widthPx,
    height_px: facts.heightPx,
    declared_fps: facts.declaredFps,
    transport: facts.transport,
    is_encrypted: facts.isEncrypted,
    auth_scheme: facts.authScheme,
    server_name: facts.serverName,
  });
  const startedMs = options.clock.monotonicMs();
  const elapsedMs = (): number => options.clock.monotonicMs() - startedMs;
  const isHttp = facts.transport === 'http';
  const probing = probeVideo({
    input: relay.localUrl,
    inputOptions: inputOptionsFor(relay),
    readSeconds: isHttp ? 1 : watchSeconds,
    decode: 'nothing',
  });
  const ends = new AbortController();
  void relay.closed.then(() => ends.abort());
  // A failure is heard below, where its outcome is awaited.
  probing.then(
    () => ends.abort(),
    () => ends.abort(),
  );
  const over = AbortSignal.any([signal, ends.signal]);

  let firstDataMs: number | null = null;
  while (!over.aborted && !hasSeenEnough(relay, elapsedMs())) {
    if (firstDataMs === null && relay.stats().bytes > 0) firstDataMs = elapsedMs();
    await options.clock.sleep(checkMs, over).catch(() => undefined);
  }
  noteRelayFigures(probe, relay);
  // ffprobe says what it has seen when its input ends.
  await relay.close();
  const video = await probing;
  const end = await relay.closed;
  if (typeof video !== 'string' && video.widthPx > 0) {
    probe.find({
      codec: video.codec,
      width_px: video.widthPx,
      height_px: video.heightPx,
      ...(video.declaredFps === null || facts.declaredFps !== null ? {} : { declared_fps: video.declaredFps }),
    });
    probe.step('stream', true, `${video.codec} ${video.widthPx}x${video.heightPx}`, firstDataMs ?? elapsedMs());
    return null;
  }
  const failure = streamFailure(relay, end.error);
  probe.step('stream', false, failure.text);
  return failure;
}

/** Two key frames and a while of pictures in RTP; ffprobe decides for http. */
function hasSeenEnough(relay: CameraRelay, elapsedMs: number): boolean {
  return elapsedMs >= minimumWatchMs && (relay.pictures()?.keyframes ?? 0) > 1;
}

function noteRelayFigures(probe: Probe, relay: CameraRelay): void {
  const pictures = relay.pictures();
  probe.find({
    measured_fps: pictures?.measuredFps ?? null,
    keyframe_interval_ms: pictures?.keyframeIntervalMs ?? null,
    clock_source: relay.captureClock.source,
    clock_offset_ms: relay.captureClock.clockOffsetMs,
    packet_loss_ratio: relay.facts.transport === 'http' ? null : relay.stats().packetLossRatio,
  });
}

function streamFailure(relay: CameraRelay, error: AppError | null): Failure {
  if (error !== null) return toFailure(error);
  const pictures = relay.pictures();
  if (relay.stats().bytes === 0) return outOfTime('the camera accepted the connection and sent no video');
  if (pictures?.keyframes === 0) {
    return {
      reason: 'NO_KEYFRAME',
      text: `the camera sent ${pictures.pictures} pictures and no key frame among them`,
      action: 'Set the key frame (I-frame) interval of the camera to 1 or 2 s, or try again with a longer --timeout.',
    };
  }
  return {
    reason: 'CORRUPT',
    text: 'the camera sends data in which ffmpeg finds no picture',
    action: 'Try the other transport (tcp or udp); look at the stream with a player.',
  };
}

function outOfTime(text: string): Failure {
  return {
    reason: 'TIMEOUT',
    text: `${text} in the time given`,
    action: 'Check the network to the camera and whether it is overloaded; try again with a longer --timeout.',
  };
}

function inputOptionsFor(relay: CameraRelay): string[] {
  const limits = ['-analyzeduration', String(analyseUs)];
  return relay.facts.transport === 'http'
    ? ['-protocol_whitelist', 'http,tcp', ...limits]
    : ['-f', 'rtsp', '-rtsp_transport', 'tcp', '-allowed_media_types', 'video', ...limits];
}

async function probeFile(probe: Probe, path: string, options: ProbeOptions): Promise<Failure | null> {
  let found: Awaited<ReturnType<typeof stat>>;
  try {
    found = await stat(path);
  } catch {
    return fileFailure(probe, 'file', {
      reason: 'NOT_FOUND',
      text: 'there is no such file, or it may not be read',
      action: 'Check the path and the rights; a camera is named by a URL such as rtsp://…',
    });
  }
  // A pipe or a device could keep ffprobe waiting for ever.
  if (!found.isFile()) return fileFailure(probe, 'file', { ...badFile.unknown, text: 'this is no regular file' });
  if (found.size === 0) return fileFailure(probe, 'file', badFile.empty);
  probe.step('file', true, `${found.size} bytes`);
  probe.find({ transport: 'file', clock_source: 'CONTAINER' });

  const timeLimit = AbortSignal.timeout(Math.max(1, Math.floor(probe.remainingMs)));
  const whenOutOfTime = new Promise<'out-of-time'>((resolvePromise) => {
    timeLimit.addEventListener('abort', () => resolvePromise('out-of-time'), { once: true });
  });
  const file = await Promise.race([examineFile(path), whenOutOfTime]);
  options.signal?.throwIfAborted();
  if (file === 'out-of-time') return fileFailure(probe, 'stream', outOfTime('ffprobe did not finish with the file'));
  if (file === 'unreadable') return fileFailure(probe, 'stream', badFile.unknown);
  if (file === 'no-video') return fileFailure(probe, 'stream', badFile.noVideo);
  probe.find(file.findings);
  if (!file.isDecodable) return fileFailure(probe, 'stream', badFile.undecodable);
  probe.step('stream', true, file.text);
  return null;
}

interface ExaminedFile {
  readonly findings: Partial<ProbeFindings>;
  readonly isDecodable: boolean;
  readonly text: string;
}

async function examineFile(path: string): Promise<ExaminedFile | 'no-video' | 'unreadable'> {
  // `file:` and an absolute path, so that no name is taken for an option or a protocol.
  const source = { input: `file:${resolve(path)}`, inputOptions: ['-protocol_whitelist', 'file'] };
  const video = await probeVideo({ ...source, readSeconds: readFileSeconds, decode: 'keyframes' });
  if (typeof video === 'string') return video;
  let isDecodable = video.widthPx > 0 && video.decodedFrames > 0;
  if (!isDecodable && video.packets > 0) {
    // Video with gradual refresh has no key frame at all and is good all the same.
    const all = await probeVideo({ ...source, readSeconds: readAgainSeconds, decode: 'all' });
    isDecodable = typeof all !== 'string' && all.widthPx > 0 && all.decodedFrames > 0;
  }
  return { findings: fileFindings(video), isDecodable, text: `${video.codec} ${video.widthPx}x${video.heightPx}` };
}

function fileFailure(probe: Probe, step: ProbeStepName, failure: Failure): Failure {
  probe.step(step, false, failure.text);
  return failure;
}

function fileFindings(video: ProbedVideo): Partial<ProbeFindings> {
  const { declaredFps, packets, decodedFrames: keyframes } = video;
  return {
    codec: video.codec,
    width_px: video.widthPx === 0 ? null : video.widthPx,
    height_px: video.heightPx === 0 ? null : video.heightPx,
    declared_fps: declaredFps,
    measured_fps: declaredFps,
    keyframe_interval_ms:
      declaredFps !== null && keyframes > 1 ? Math.round(((packets / keyframes) * 1000) / declaredFps) : null,
  };
}

function toFailure(error: unknown, secretText = ''): Failure {
  if (error instanceof AppError) {
    return { reason: reasonOf(error), text: scrubSecrets(error.message), action: error.action };
  }
  const text = error instanceof Error ? error.message : String(error);
  return { reason: 'UNKNOWN', text: scrubSecrets(text, [secretText]), action: 'Report this with the steps above.' };
}
