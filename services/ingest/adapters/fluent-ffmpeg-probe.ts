import ffmpeg from 'fluent-ffmpeg';
import { AppError } from '#shared/core/errors';

/** What ffprobe says of the video of an input. */
export interface ProbedVideo {
  readonly codec: string;
  readonly widthPx: number;
  readonly heightPx: number;
  readonly declaredFps: number | null;
  /** Within the part that was read. */
  readonly packets: number;
  /** Of what was asked to be decoded. */
  readonly decodedFrames: number;
}

export interface ProbeInput {
  /** A loopback URL of a relay, or `file:` and an absolute path: this ends up on a command line. */
  readonly input: string;
  /** Options of the demuxer, before the input. */
  readonly inputOptions: readonly string[];
  /** Read this much of the video after its head is known. */
  readonly readSeconds: number;
  /** What of it to decode and count. */
  readonly decode: 'nothing' | 'keyframes' | 'all';
}

/** fluent-ffmpeg gives its errors no code; this is the whole message of the one that is not about the input. */
const notInstalled = 'Cannot find ffprobe';

/**
 * Runs ffprobe through fluent-ffmpeg and looks at the first video stream. 'unreadable': ffprobe knows nothing in it. Throws where there is
 * no ffprobe. fluent-ffmpeg cannot end a running ffprobe: whoever calls ends its input (closing the relay does).
 */
export function probeVideo(probe: ProbeInput): Promise<ProbedVideo | 'no-video' | 'unreadable'> {
  const { input, inputOptions, readSeconds, decode } = probe;
  const decoding = {
    nothing: [],
    keyframes: ['-skip_frame', 'nokey', '-count_frames'],
    all: ['-count_frames'],
  }[decode];
  const reading = ['-count_packets', '-read_intervals', `%+${readSeconds}`];
  const options = ['-v', 'error', '-select_streams', 'v:0', ...decoding, ...reading, ...inputOptions];
  return new Promise((resolve, reject) => {
    ffmpeg.ffprobe(input, options, (error: unknown, data: ffmpeg.FfprobeData) => {
      if (error instanceof Error && error.message === notInstalled) {
        reject(new AppError('SIGHTLINE_FFMPEG_MISSING', 'ffprobe, which comes with ffmpeg, was not found'));
        return;
      }
      if (error !== null && error !== undefined) {
        resolve('unreadable');
        return;
      }
      const stream = data.streams.find(({ codec_type }) => codec_type === 'video');
      resolve(stream === undefined ? 'no-video' : toProbedVideo(stream));
    });
  });
}

function toProbedVideo(stream: ffmpeg.FfprobeStream): ProbedVideo {
  return {
    codec: stream.codec_name ?? 'unknown',
    widthPx: stream.width ?? 0,
    heightPx: stream.height ?? 0,
    declaredFps: parseRate(stream.avg_frame_rate) ?? parseRate(stream.r_frame_rate),
    packets: asCount(stream.nb_read_packets),
    decodedFrames: asCount(stream.nb_read_frames),
  };
}

/** ffprobe writes rates as fractions, and 0/0 where it does not know. 1000 and more is a time base, not a rate. */
function parseRate(rate: string | undefined): number | null {
  const [numerator = 0, denominator = 0] = (rate ?? '').split('/').map(Number);
  const fps = numerator / denominator;
  return fps > 0 && fps < 1000 ? fps : null;
}

/** ffprobe writes N/A for none. */
function asCount(value: unknown): number {
  return typeof value === 'number' ? value : 0;
}
