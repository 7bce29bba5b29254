import { AppError } from '#shared/core/errors';

/** A part's header is 60 bytes; what is longer is none. */
const maxHeaderBytes = 1024;
/** Far above any picture at inference size. */
const maxPictureBytes = 64 * 1024 * 1024;
const headerEnd = Buffer.from('\r\n\r\n', 'latin1');

/** Cuts the multipart stream of ffmpeg's `mpjpeg` into pictures: each part says its length, so no picture is searched for its end. */
export class JpegParts {
  readonly #onPicture: (jpeg: Uint8Array) => void;
  #header = Buffer.alloc(0);
  #picture: Uint8Array | null = null;
  #filled = 0;

  constructor(onPicture: (jpeg: Uint8Array) => void) {
    this.#onPicture = onPicture;
  }

  /** Reads `length` bytes of `bytes`, which the caller may use again afterwards. Throws SIGHTLINE_FFMPEG_FAILED for another format. */
  read(bytes: Uint8Array, start: number, length: number): void {
    const end = start + length;
    let at = start;
    while (at < end) at = this.#picture === null ? this.#readHeader(bytes, at, end) : this.#readPicture(bytes, at, end);
  }

  #readHeader(bytes: Uint8Array, at: number, end: number): number {
    const before = this.#header.length;
    this.#header = Buffer.concat([this.#header, bytes.subarray(at, Math.min(end, at + maxHeaderBytes))]);
    const ends = this.#header.indexOf(headerEnd);
    if (ends < 0) {
      if (this.#header.length >= maxHeaderBytes)
        throw new AppError('SIGHTLINE_FFMPEG_FAILED', 'pictures without a header');
      return end;
    }
    const length = Number(/content-length: *(\d+)/i.exec(this.#header.toString('latin1', 0, ends))?.[1]);
    if (!(length > 0 && length <= maxPictureBytes))
      throw new AppError('SIGHTLINE_FFMPEG_FAILED', 'a picture without its length');
    this.#picture = new Uint8Array(length);
    this.#filled = 0;
    this.#header = Buffer.alloc(0);
    return at + ends + headerEnd.length - before;
  }

  #readPicture(bytes: Uint8Array, at: number, end: number): number {
    const picture = this.#picture;
    if (picture === null) return at;
    const count = Math.min(end - at, picture.length - this.#filled);
    picture.set(bytes.subarray(at, at + count), this.#filled);
    this.#filled += count;
    if (this.#filled === picture.length) {
      this.#picture = null;
      this.#onPicture(picture);
    }
    return at + count;
  }
}
