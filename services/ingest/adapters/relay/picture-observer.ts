import type { CameraCodec, PictureFigures } from './relay-types.ts';
import { rtpPayloadOffset, rtpTimestamp } from './rtp.ts';

/** Counts pictures in RTP packets without decoding them: for a verdict on a camera, not for the hot path. */
export class PictureObserver {
  readonly #codec: CameraCodec;
  readonly #clockRateHz: number;
  #pictures = 0;
  #keyframes = 0;
  #lastTimestamp: number | null = null;
  #position = 0;
  #lowest = 0;
  #highest = 0;
  #firstKeyframe = 0;
  #lastKeyframe: number | null = null;

  constructor(codec: CameraCodec, clockRateHz: number) {
    this.#codec = codec;
    this.#clockRateHz = clockRateHz;
  }

  note(bytes: Buffer, offset: number, end: number): void {
    const timestamp = rtpTimestamp(bytes, offset);
    if (timestamp !== this.#lastTimestamp) {
      if (this.#lastTimestamp !== null) this.#position += (timestamp - this.#lastTimestamp) | 0;
      this.#lastTimestamp = timestamp;
      this.#pictures += 1;
      this.#lowest = Math.min(this.#lowest, this.#position);
      this.#highest = Math.max(this.#highest, this.#position);
    }
    if (this.#lastKeyframe !== this.#position && this.#isOfKeyframe(bytes, rtpPayloadOffset(bytes, offset, end), end)) {
      if (this.#keyframes === 0) this.#firstKeyframe = this.#position;
      this.#keyframes += 1;
      this.#lastKeyframe = this.#position;
    }
  }

  get figures(): PictureFigures {
    const spanS = (this.#highest - this.#lowest) / this.#clockRateHz;
    const keySpanS = ((this.#lastKeyframe ?? 0) - this.#firstKeyframe) / this.#clockRateHz;
    return {
      pictures: this.#pictures,
      keyframes: this.#keyframes,
      measuredFps: spanS > 0 ? (this.#pictures - 1) / spanS : null,
      keyframeIntervalMs: this.#keyframes > 1 && keySpanS > 0 ? (keySpanS * 1000) / (this.#keyframes - 1) : null,
    };
  }

  #isOfKeyframe(bytes: Buffer, payload: number, end: number): boolean {
    if (payload >= end) return false;
    switch (this.#codec) {
      case 'mjpeg':
        return true;
      case 'h264':
        return isH264Keyframe(bytes, payload, end);
      case 'hevc':
        return isHevcKeyframe(bytes, payload, end);
    }
  }
}

/** RFC 6184: a slice of an IDR picture, alone, in an aggregate (24) or as a fragment (28). */
function isH264Keyframe(bytes: Buffer, payload: number, end: number): boolean {
  const type = (bytes[payload] ?? 0) & 0x1f;
  if (type === 5) return true;
  if (type === 28) return ((bytes[payload + 1] ?? 0) & 0x1f) === 5;
  if (type !== 24) return false;
  for (let position = payload + 1; position + 2 < end; position += 2 + bytes.readUInt16BE(position)) {
    if (((bytes[position + 2] ?? 0) & 0x1f) === 5) return true;
  }
  return false;
}

/** RFC 7798: types 16 to 21 are random access points; 48 aggregates, 49 fragments. */
function isHevcKeyframe(bytes: Buffer, payload: number, end: number): boolean {
  const isAccessPoint = (type: number): boolean => type >= 16 && type <= 21;
  const type = ((bytes[payload] ?? 0) >> 1) & 0x3f;
  if (type === 49) return isAccessPoint((bytes[payload + 2] ?? 0) & 0x3f);
  if (type !== 48) return isAccessPoint(type);
  for (let position = payload + 2; position + 2 < end; position += 2 + bytes.readUInt16BE(position)) {
    if (isAccessPoint(((bytes[position + 2] ?? 0) >> 1) & 0x3f)) return true;
  }
  return false;
}
