import type { BoundingBoxRecord } from '#schemas';
import type { InputGeometry, SizePx } from '#shared/core/inference-geometry';
import { fittingSizes } from '#shared/core/input-shape';
import type { FfmpegDialect } from './ffmpeg-version.ts';
import { maskFilters } from './mask-filters.ts';

export type FfmpegInput =
  | { readonly kind: 'rtsp'; readonly url: string; readonly timeoutMs: number }
  | {
      readonly kind: 'http';
      readonly url: string;
      readonly timeoutMs: number;
      /** Streams of single pictures carry no time: ffmpeg would count them at 25 a second. */
      readonly stampOnArrival: boolean;
    }
  | {
      readonly kind: 'file';
      /** Absolute. */
      readonly path: string;
      readonly demuxer: string;
      readonly realtime: boolean;
      readonly loop: boolean;
    };

export interface FfmpegArgumentsOptions {
  readonly input: FfmpegInput;
  readonly fps: number;
  readonly crop: BoundingBoxRecord | null;
  /** What is painted over, in fractions of the whole picture: no pixel of it leaves ffmpeg. */
  readonly masks: readonly BoundingBoxRecord[];
  readonly geometry: InputGeometry;
  readonly dialect: FfmpegDialect;
}

/** Bilinear is what the reference implementations of the detectors resize with. */
const scalerFlags = 'bilinear';
/** What cameras send. */
const cameraCodecs = 'h264,hevc,mjpeg';
/** Files come from more places; still a list, for every decoder is a surface to attack. */
const fileCodecs = `${cameraCodecs},mpeg4,msmpeg4,msmpeg4v2,msmpeg4v1,wmv1,wmv2,h263,flv,mpeg1video,mpeg2video,vp8,vp9,av1,libdav1d,theora,prores,dvvideo,ffv1,rawvideo`;
/** 8192 x 4320 and a little: what lies above is a forged header that would take a GB for one picture. */
const maxPixels = 36_000_000;
const maxAllocationBytes = 268_435_456;
/** Frames land on a grid cell though their time was rounded down, to milliseconds (Matroska) or ticks. */
const gridToleranceSeconds = 0.001;

/** The whole command line of the one ffmpeg process of a camera. Holds no credentials: a network camera comes through a relay. */
export function ffmpegArguments(options: FfmpegArgumentsOptions): string[] {
  return [
    '-hide_banner',
    '-nostdin',
    '-nostats',
    // Each line tells its level, and repeated lines are not folded: they are counted.
    ...['-loglevel', 'repeat+level+info'],
    ...['-max_alloc', String(maxAllocationBytes)],
    // Times as the demuxer gives them: the capture clock knows those of the stream, not of ffmpeg's shifted copy.
    '-copyts',
    ...['-filter_threads', '1'],
    ...['-threads', '1'],
    ...['-max_pixels', String(maxPixels)],
    ...inputArguments(options.input, options.dialect),
    // The first real video stream; not the cover picture of a file.
    ...['-map', '0:V:0'],
    ...['-vf', filterGraph(options)],
    ...frameSync(options.dialect),
    // Else every picture after a change of size is scaled once more, to the size of the first.
    '-noautoscale',
    ...rawOutput,
  ];
}

/**
 * The encoder of raw pictures is one too: left to itself it takes a thread for each processor and holds as many pictures less one until the next
 * ones come. At 5 frames a second that was 0.2 s on two processors, and 3 s on sixteen.
 */
const rawOutput = ['-threads', '1', '-f', 'rawvideo', '-flush_packets', '1', 'pipe:1'] as const;

function frameSync({ frameSyncOption }: FfmpegDialect): string[] {
  return [frameSyncOption, frameSyncOption === '-vsync' ? '0' : 'passthrough'];
}

function inputArguments(input: FfmpegInput, dialect: FfmpegDialect): string[] {
  switch (input.kind) {
    case 'rtsp':
      return [
        ...['-f', 'rtsp', '-rtsp_transport', 'tcp', '-allowed_media_types', 'video'],
        ...['-protocol_whitelist', 'rtsp,rtp,tcp', '-codec_whitelist', cameraCodecs],
        // Over TCP nothing is out of order, so nothing is held back to sort it.
        ...['-max_delay', '0', '-reorder_queue_size', '0'],
        ...probing,
        ...[dialect.rtspTimeoutOption, String(Math.round(input.timeoutMs * 1000))],
        ...['-i', input.url],
      ];
    case 'http':
      return [
        ...['-protocol_whitelist', 'http,tcp', '-codec_whitelist', cameraCodecs],
        ...['-format_whitelist', 'mpjpeg,mjpeg,hls,mpegts,mov,mp4,h264,hevc,matroska,webm'],
        ...probing,
        ...['-rw_timeout', String(Math.round(input.timeoutMs * 1000))],
        ...(input.stampOnArrival ? ['-use_wallclock_as_timestamps', '1'] : []),
        ...['-i', input.url],
      ];
    case 'file':
      return [
        ...['-f', input.demuxer, '-protocol_whitelist', 'file', '-codec_whitelist', fileCodecs],
        ...(input.realtime ? ['-re'] : []),
        ...(input.loop ? ['-stream_loop', '-1'] : []),
        // `file:` so that no character of the path is taken for a protocol or an option.
        ...['-i', `file:${input.path}`],
      ];
  }
}

/**
 * What ffmpeg reads of a camera before it decodes the first picture. Left to itself it looks at twenty pictures to guess their rate, which nobody
 * asks it for: it took 0.6 s more until the first picture of a camera of 10 frames a second.
 */
const probing = ['-analyzeduration', '1000000', '-probesize', '5000000', '-fpsprobesize', '0'] as const;

/** Exported for its tests. */
export function filterGraph(options: Omit<FfmpegArgumentsOptions, 'input' | 'dialect'>): string {
  return [
    `select='${samplingExpression(options.fps)}'`,
    // Without this, showinfo prints all that an encoder attached to a picture.
    'sidedata=mode=delete',
    // One line per sampled frame with its time and size, before its bytes. The checksum would cost more than the scaling.
    'showinfo=checksum=0',
    ...(options.crop === null ? [] : [cropFilter(options.crop)]),
    // One meaning of the colours, whatever the camera's: that which JPEG and inference work out. Planes stay as cameras send them; ffmpeg
    // takes twice as long to turn them into colours, and the pipe has twice as many bytes.
    `${scaleFilter(options.geometry)}:out_color_matrix=bt601:out_range=tv`,
    'format=yuv420p',
    ...maskFilters(options.masks, options.crop),
  ].join(',');
}

/**
 * One frame per cell of a time grid of 1/fps, the first that falls into it: the rate is exact on average, no frame comes twice, and a
 * stream with fewer frames gives all it has. A cell is left by time going either way: a camera that sets its clock back goes on.
 */
function samplingExpression(fps: number): string {
  const cell = (time: string) => `floor((${time}+${gridToleranceSeconds})*${fps})`;
  return `isnan(prev_selected_t)+not(eq(${cell('t')},${cell('prev_selected_t')}))`.replaceAll(',', '\\,');
}

/** The same arithmetic as `cropRectangle`, exact to the pixel. */
function cropFilter(crop: BoundingBoxRecord): string {
  const x = `clip(floor(${crop.x}*iw),0,iw-1)`;
  const y = `clip(floor(${crop.y}*ih),0,ih-1)`;
  const width = `clip(ceil(${crop.x + crop.width}*iw)-${x},1,iw-${x})`;
  const height = `clip(ceil(${crop.y + crop.height}*ih)-${y},1,ih-${y})`;
  return `crop=w='${escaped(width)}':h='${escaped(height)}':x='${escaped(x)}':y='${escaped(y)}':exact=1`;
}

/** The same arithmetic as `inferenceSize`, in integers that doubles hold exactly. */
export function scaleFilter(geometry: InputGeometry): string {
  const { widthPx, heightPx, resize } = geometry;
  if (resize.mode === 'stretch') return `scale=w=${widthPx}:h=${heightPx}:flags=${scalerFlags}`;
  const [first, ...others] = resize.shape === 'fit' ? fittingSizes(geometry) : ([{ widthPx, heightPx }] as const);
  // The last size that is better than the one before it: they are asked from the widest on.
  const choice = (value: (size: SizePx) => string): string =>
    others.reduce((narrower, size, index) => {
      const before = others[index - 1] ?? first;
      return `if(gt(iw*${size.heightPx},ih*${before.widthPx}),${value(size)},${narrower})`;
    }, value(first));
  const isWide = ({ widthPx: width, heightPx: height }: SizePx): string => `gte(iw*${height},ih*${width})`;
  const scaledWidth = choice((size) => `if(${isWide(size)},${size.widthPx},max(1,floor(iw*${size.heightPx}/ih)))`);
  const scaledHeight = choice((size) => `if(${isWide(size)},max(1,floor(ih*${size.widthPx}/iw)),${size.heightPx})`);
  return `scale=w='${escaped(scaledWidth)}':h='${escaped(scaledHeight)}':flags=${scalerFlags}`;
}

function escaped(expression: string): string {
  return expression.replaceAll(',', '\\,');
}
