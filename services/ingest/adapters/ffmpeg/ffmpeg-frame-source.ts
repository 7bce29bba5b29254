import type { BoundingBoxRecord } from '#schemas';
import type { Clock } from '#shared/core/clock';
import { toAppError } from '#shared/core/errors';
import type { FrameBufferPool } from '#shared/core/frame-buffer-pool';
import type { InputGeometry } from '#shared/core/inference-geometry';
import type { Logger } from '#shared/core/logger';
import type { AddressPolicy } from '../../core/address-policy.ts';
import { reasonOf } from '../../core/camera-failure.ts';
import type { CameraSpec } from '../../core/camera-spec.ts';
import type { CameraAddress } from '../../core/camera-url.ts';
import { maskBands } from '../../core/mask-bands.ts';
import type { FrameSink, FrameSource, OpenFrameSource, StreamEnd } from '../../core/ports.ts';
import { createFileSource, decode, type FfmpegContext } from './decoder-run.ts';
import type { FfmpegInput } from './ffmpeg-arguments.ts';
import type { openOutputPipes } from './output-pipes.ts';
import { detectFfmpeg } from './ffmpeg-version.ts';
import type { CameraRelay, openCameraRelay, RelayEnd } from '../relay/index.ts';

export interface FfmpegSourcesOptions {
  readonly ffmpegPath: string;
  /** Asked for anew at each connection: by then another model may be at work. */
  readonly geometry: () => InputGeometry;
  readonly pool: FrameBufferPool;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly policy?: AddressPolicy;
  /** Where the version of ffmpeg is remembered; without it ffmpeg is asked each time. */
  readonly stateDir?: string;
  /** For tests of other camera ends. */
  readonly openRelay?: typeof openCameraRelay;
  /** For tests: how the pipes of ffmpeg are made. */
  readonly openPipes?: typeof openOutputPipes;
}

/**
 * Opens whatever a camera names: a file by ffmpeg itself, a network camera by a relay that keeps its password and clock, then ffmpeg.
 * Throws SIGHTLINE_FFMPEG_MISSING.
 */
export async function createFfmpegSources(options: FfmpegSourcesOptions): Promise<OpenFrameSource> {
  const version = await detectFfmpeg(options.ffmpegPath, options.stateDir);
  return (camera) => {
    const { source, realtime, loop, fps, crop } = camera;
    const context: FfmpegContext = {
      ...options,
      geometry: options.geometry(),
      version,
      logger: options.logger.child({ camera: camera.id }),
    };
    const masks = maskBands(camera.masks);
    if (source.kind === 'file')
      return createFileSource({ path: source.path, realtime, loop, fps, crop, masks }, context);
    return createNetworkSource(camera, masks, source.address, options, context);
  };
}

/** After the decoder ended the relay may still be finding out why: it saw the camera, the decoder only saw silence. */
const relayVerdictMs = 500;

function createNetworkSource(
  camera: CameraSpec,
  masks: readonly BoundingBoxRecord[],
  address: CameraAddress,
  options: FfmpegSourcesOptions,
  context: FfmpegContext,
): FrameSource {
  return {
    async run(sink, signal) {
      // Loaded with the first network camera: it is a fifth of the code of a run, and files do without.
      const openRelay = options.openRelay ?? (await import('../relay/index.ts')).openCameraRelay;
      let relay: CameraRelay;
      try {
        relay = await openRelay(
          address,
          {
            transport: camera.transport,
            tlsInsecure: camera.tlsInsecure,
            silenceTimeoutMs: camera.stallTimeoutMs,
            ...(options.policy === undefined ? {} : { policy: options.policy }),
          },
          { logger: context.logger, clock: context.clock, signal },
        );
      } catch (thrown) {
        const error = toAppError(thrown);
        return signal.aborted ? stopped : { reason: reasonOf(error), text: error.message, error };
      }
      try {
        return await relayed(relay, camera, masks, sink, signal, context);
      } finally {
        await relay.close();
      }
    },
  };
}

const stopped: StreamEnd = { reason: 'STOPPED', text: 'stopped', error: null };

async function relayed(
  relay: CameraRelay,
  camera: CameraSpec,
  masks: readonly BoundingBoxRecord[],
  sink: FrameSink,
  signal: AbortSignal,
  context: FfmpegContext,
): Promise<StreamEnd> {
  const { facts } = relay;
  sink.facts({ ...facts, durationMs: null });
  // Closing the relay is the polite way to end ffmpeg: its input is over.
  const closeRelay = () => void relay.close(); // Awaited by the caller.
  signal.addEventListener('abort', closeRelay, { once: true });
  try {
    const input = inputFor(relay, camera);
    // What the decoder finds out replaces what the camera declared, but it cannot know better how often pictures come.
    const told: FrameSink = {
      ...sink,
      facts: (seen) => sink.facts({ ...seen, declaredFps: facts.declaredFps ?? seen.declaredFps }),
    };
    const end = await decode(
      { input, fps: camera.fps, crop: camera.crop, masks, captureClock: relay.captureClock },
      told,
      signal,
      context,
    );
    if (signal.aborted) return stopped;
    const verdict = await relayVerdict(relay, context.clock);
    // The relay's word counts where the camera broke off; where the camera went on, the decoder's does.
    if (verdict === null || verdict.reason === 'STOPPED' || (verdict.error === null && end.error !== null)) return end;
    return verdict;
  } finally {
    signal.removeEventListener('abort', closeRelay);
  }
}

function inputFor(relay: CameraRelay, camera: CameraSpec): FfmpegInput {
  // Longer than the relay's own patience: it knows better what happened.
  const timeoutMs = camera.stallTimeoutMs + 5_000;
  const url = relay.localUrl;
  if (url.startsWith('rtsp:')) return { kind: 'rtsp', url, timeoutMs };
  return { kind: 'http', url, timeoutMs, stampOnArrival: relay.facts.codec === 'mjpeg' || !url.includes('.m3u8') };
}

async function relayVerdict(relay: CameraRelay, clock: Clock): Promise<RelayEnd | null> {
  const limit = new AbortController();
  try {
    return await Promise.race([relay.closed, clock.sleep(relayVerdictMs, limit.signal).then(() => null)]);
  } finally {
    limit.abort();
  }
}
