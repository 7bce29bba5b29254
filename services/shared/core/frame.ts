import type { AccountingRecord, BoundingBoxRecord, CaptureTimeSource, MotionRecord } from '../../../schemas/index.ts';

/**
 * Pixels at inference size, aspect kept, no padding, as cameras send them: one plane of `widthPx * heightPx` bytes of brightness, then two of half
 * the width and height, rounded up, of colour (YUV 4:2:0, BT.601). `data` owns its whole ArrayBuffer, which
 * is transferred to a worker and comes back: whoever hands an image on does not touch `data` again.
 */
export interface Yuv420Image {
  readonly format: 'yuv420p';
  readonly widthPx: number;
  readonly heightPx: number;
  /** As in a JPEG, black is 0 and white 255. Else as cameras send it: 16 and 235. */
  readonly isFullRange?: boolean;
  readonly data: Uint8Array<ArrayBuffer>;
}

/**
 * Pixels of a still picture, aspect kept, no padding: three planes of `widthPx * heightPx` bytes one after another in the order
 * green, blue, red (ffmpeg's `gbrp`), 0..255. `data` as above.
 */
export interface PlanarImage {
  readonly format: 'gbrp';
  readonly widthPx: number;
  readonly heightPx: number;
  readonly data: Uint8Array<ArrayBuffer>;
}

/** Pixels at inference size as a decoder of still pictures gives them: red, green, blue side by side, row after row. `data` as above. */
export interface Rgb24Image {
  readonly format: 'rgb24';
  readonly widthPx: number;
  readonly heightPx: number;
  readonly data: Uint8Array<ArrayBuffer>;
}

/** What a model can be run on. */
export type PixelImage = Yuv420Image | PlanarImage | Rgb24Image;

/** A picture at inference size as it travels between processes. */
export interface JpegImage {
  readonly format: 'jpeg';
  readonly widthPx: number;
  readonly heightPx: number;
  readonly data: Uint8Array;
}

export type FrameImage = PixelImage | JpegImage;

/** One plane of brightness, `widthPx * heightPx` bytes at the beginning of `data`: what is enough to see change, darkness and standstill. */
export interface LumaPlane {
  readonly widthPx: number;
  readonly heightPx: number;
  readonly data: Uint8Array;
  /** The value of black where it is not 0: 16 of a limited range. */
  readonly black?: number;
}

/** When the light hit the camera, and how we know. Times are microseconds since 1970-01-01 UTC. */
export interface FrameTimes {
  readonly captureTimeUs: number;
  readonly captureTimeSource: CaptureTimeSource;
  /** Half-width of the interval that the capture time is believed to lie in; null where nothing is known. */
  readonly captureTimeErrorMs: number | null;
  readonly ingestTimeUs: number;
  /** Presentation time of the stream, from its own zero; null where the stream has none. */
  readonly ptsUs: number | null;
}

/** What became of a frame at ingest. `analyse`: its picture goes on to inference. The other two are only seen on a closing frame. */
export type FrameFate = 'analyse' | 'filtered' | 'dropped';

/**
 * A frame as ingest hands it on. `frameSeq` counts the frames received in one epoch from 1 without gaps; the frames between this one and
 * the previous one of the epoch are told by `accounting`. A frame whose fate is not `analyse` has no image: it closes an epoch whose last
 * frames had no later frame to carry their counts.
 */
export interface SampledFrame {
  readonly cameraId: string;
  /** One per connection to the camera, increasing, never reused. */
  readonly epoch: number;
  readonly frameSeq: number;
  readonly fate: FrameFate;
  readonly times: FrameTimes;
  /** Size of the picture as the camera sent it, after rotation. Boxes are fractions of it. */
  readonly sourceWidthPx: number;
  readonly sourceHeightPx: number;
  readonly image: FrameImage | null;
  /** The part of the picture that `image` shows, as fractions of it; absent where it shows all. */
  readonly crop?: BoundingBoxRecord;
  readonly motion: MotionRecord | null;
  readonly accounting: AccountingRecord;
  /** Monotonic milliseconds after which nobody wants the result; null for files, which wait instead. */
  readonly deadlineMs: number | null;
  /** Share of inference while cameras have to wait for each other; 1 where nothing is said. */
  readonly priority?: number;
  readonly tags: Readonly<Record<string, string>>;
}
