import ffmpeg from 'fluent-ffmpeg';

/** What ffprobe says of the video of an input. */
export interface ProbedVideo {
  readonly codec: string;
  readonly widthPx: number;
  readonly heightPx: number;
  readonly declaredFps: number | null;
  /** Packets and decoded key frames within the part that was read, where counting was asked for. */
  readonly packets: number | null;
  readonly keyframes: number | null;
  readonly durationS: number | null;
}

export interface ProbeInput {
  /** A loopback URL of a relay, or `file:` and an absolute path: this ends up on a command line. */
  readonly input: string;
  /** Options of the demuxer, before the input. */
  readonly inputOptions: readonly string[];
  /** Read this much of the video after its head is known. */
  readonly readSeconds: number;
  /** Decode the key frames of it and count them. */
  readonly decodeKeyframes: boolean;
}

/**
 * Runs ffprobe through fluent-ffmpeg and gives the first video stream; undefined where the input has none. Rejects where ffprobe finds
 * nothing that it knows. fluent-ffmpeg cannot end a running ffprobe: whoever calls ends its input (closing the relay does).
 */
export function probeVideo({
  input,
  inputOptions,
  readSeconds,
  decodeKeyframes,
}: ProbeInput): Promise<ProbedVideo | undefined> {
  const decoding = decodeKeyframes ? ['-skip_frame', 'nokey', '-count_frames'] : [];
  const reading = ['-count_packets', '-read_intervals', `%+${readSeconds}`];
  const options = ['-v', 'error', '-select_streams', 'v:0', ...decoding, ...reading, ...inputOptions];
  return new Promise((resolve, reject) => {
    ffmpeg.ffprobe(input, options, (error: unknown, data: ffmpeg.FfprobeData) => {
      if (error !== null && error !== undefined) {
        reject(error instanceof Error ? error : new Error('ffprobe failed'));
        return;
      }
      const stream = data.streams.find(({ codec_type }) => codec_type === 'video');
      resolve(stream === undefined ? undefined : toProbedVideo(stream, data.format));
    });
  });
}

function toProbedVideo(stream: ffmpeg.FfprobeStream, format: ffmpeg.FfprobeFormat): ProbedVideo {
  return {
    codec: stream.codec_name ?? 'unknown',
    widthPx: stream.width ?? 0,
    heightPx: stream.height ?? 0,
    declaredFps: parseRate(stream.avg_frame_rate) ?? parseRate(stream.r_frame_rate),
    packets: asCount(stream.nb_read_packets),
    keyframes: asCount(stream.nb_read_frames),
    durationS: typeof format.duration === 'number' ? format.duration : null,
  };
}

/** ffprobe writes rates as fractions, and 0/0 where it does not know. 1000 and more is a time base, not a rate. */
function parseRate(rate: string | undefined): number | null {
  const [numerator = 0, denominator = 0] = (rate ?? '').split('/').map(Number);
  const fps = numerator / denominator;
  return fps > 0 && fps < 1000 ? fps : null;
}

function asCount(value: unknown): number | null {
  return typeof value === 'number' ? value : null;
}
