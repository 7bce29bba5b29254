import { cameraError } from '../../core/camera-failure.ts';
import { headerOf, parseHead, type RtspMessage } from './rtsp-message.ts';

export interface RtspStreamSink {
  /** One whole interleaved frame: `bytes[start]` is `$`, the packet goes from `start + 4` to `end`. The sink may keep and change its bytes. */
  onFrame(bytes: Buffer, start: number, end: number): void;
  onMessage(message: RtspMessage): void;
  /** After the last frame of what one read gave: the moment to write what was gathered. */
  onReadEnd(): void;
}

export interface ParserLimits {
  readonly maxHeadBytes: number;
  readonly maxBodyBytes: number;
  /** How much may be thrown away in all while looking for the next packet. */
  readonly maxSkippedBytes: number;
}

export const defaultParserLimits: ParserLimits = {
  maxHeadBytes: 16 * 1024,
  maxBodyBytes: 64 * 1024,
  maxSkippedBytes: 256 * 1024,
};

const dollar = 0x24;
const frameHeaderBytes = 4;
const messageStarts = [
  'RTSP/',
  'OPTIONS ',
  'DESCRIBE ',
  'SETUP ',
  'PLAY ',
  'PAUSE ',
  'TEARDOWN ',
  'GET_PARAMETER ',
  'SET_PARAMETER ',
  'ANNOUNCE ',
  'REDIRECT ',
  'PLAY_NOTIFY ',
];
const longestMessageStart = 14;

/**
 * Cuts an RTSP connection (RFC 2326, interleaved frames of 10.12) into frames and messages. Frames that lie whole in a read are handed on
 * where they lie; only one that is split between two reads is copied. No byte of a packet is looked at.
 */
export class RtspStreamParser {
  readonly #sink: RtspStreamSink;
  readonly #limits: ParserLimits;
  /** A frame whose length is known, being filled. */
  #frame: Buffer | null = null;
  #frameFill = 0;
  /** The start of something that cannot be judged yet: part of a message, or fewer than four bytes. */
  #rest: Buffer | null = null;
  #sawAnything = false;
  #isLost = false;
  #bytesSkipped = 0;

  constructor(sink: RtspStreamSink, limits: ParserLimits = defaultParserLimits) {
    this.#sink = sink;
    this.#limits = limits;
  }

  get bytesSkipped(): number {
    return this.#bytesSkipped;
  }

  /** Takes one read. Throws SIGHTLINE_CAMERA_PROTOCOL when it cannot be RTSP or breaks a limit; the connection is of no use then. */
  push(chunk: Buffer): void {
    let bytes = chunk;
    let position = 0;
    if (this.#frame !== null) {
      position = this.#fillFrame(chunk);
    } else if (this.#rest !== null) {
      bytes = Buffer.concat([this.#rest, chunk]);
      this.#rest = null;
    }
    while (position < bytes.length) {
      const next = this.#parseOne(bytes, position);
      if (next === position) {
        this.#rest = bytes.subarray(position);
        break;
      }
      position = next;
    }
    this.#sink.onReadEnd();
  }

  #fillFrame(chunk: Buffer): number {
    const frame = this.#frame;
    if (frame === null) return 0;
    const taken = chunk.copy(frame, this.#frameFill);
    this.#frameFill += taken;
    if (this.#frameFill === frame.length) {
      this.#frame = null;
      this.#sink.onFrame(frame, 0, frame.length);
    }
    return taken;
  }

  /** Handles what starts at `position` and returns where the next thing starts; `position` itself when more bytes are needed. */
  #parseOne(bytes: Buffer, position: number): number {
    if (this.#isLost) return this.#resync(bytes, position);
    const first = bytes[position];
    if (first === dollar) return this.#parseFrame(bytes, position);
    if (first === 0x0d || first === 0x0a) return position + 1;
    const kind = couldBeMessage(bytes, position);
    if (kind === 'unknown') return position;
    if (kind === 'yes') return this.#parseMessage(bytes, position);
    if (!this.#sawAnything) {
      const isHttp = bytes.toString('latin1', position, position + 5) === 'HTTP/';
      throw protocolError(isHttp ? 'the port speaks HTTP, not RTSP' : 'the port does not speak RTSP');
    }
    this.#isLost = true;
    return this.#resync(bytes, position);
  }

  #parseFrame(bytes: Buffer, position: number): number {
    if (bytes.length - position < frameHeaderBytes) return position;
    if (!this.#sawAnything) throw protocolError('the port does not speak RTSP');
    const end = position + frameHeaderBytes + bytes.readUInt16BE(position + 2);
    if (end <= bytes.length) {
      this.#sink.onFrame(bytes, position, end);
      return end;
    }
    this.#frame = Buffer.allocUnsafe(end - position);
    this.#frameFill = bytes.copy(this.#frame, 0, position);
    return bytes.length;
  }

  #parseMessage(bytes: Buffer, position: number): number {
    const headEnd = bytes.indexOf('\r\n\r\n', position, 'latin1');
    if ((headEnd < 0 ? bytes.length : headEnd) - position > this.#limits.maxHeadBytes) {
      throw protocolError(`the headers are longer than ${this.#limits.maxHeadBytes} bytes`);
    }
    if (headEnd < 0) return position;
    const head = parseHead(bytes.toString('latin1', position, headEnd));
    const declared = headerOf(head, 'content-length') ?? '0';
    if (!/^\d{1,9}$/.test(declared)) throw protocolError('the Content-Length is not a number');
    if (Number(declared) > this.#limits.maxBodyBytes) {
      throw protocolError(`the body is longer than ${this.#limits.maxBodyBytes} bytes`);
    }
    const bodyStart = headEnd + 4;
    const end = bodyStart + Number(declared);
    if (end > bytes.length) return position;
    this.#sawAnything = true;
    this.#sink.onMessage({ ...head, body: bytes.toString('utf8', bodyStart, end) });
    return end;
  }

  /** Looks for the next thing that is surely a frame with an RTP or RTCP packet, or a message. */
  #resync(bytes: Buffer, position: number): number {
    const message = bytes.indexOf('RTSP/1.', position, 'latin1');
    let candidate = bytes.indexOf(dollar, position);
    while (candidate >= 0 && (message < 0 || candidate < message)) {
      // Five bytes are needed to judge; wait for them rather than pass over a frame.
      if (bytes.length - candidate < frameHeaderBytes + 1) break;
      if (isSurelyFrame(bytes, candidate)) break;
      candidate = bytes.indexOf(dollar, candidate + 1);
    }
    const found = message < 0 ? candidate : candidate < 0 ? message : Math.min(candidate, message);
    const next = found < 0 ? bytes.length : found;
    this.#bytesSkipped += next - position;
    if (this.#bytesSkipped > this.#limits.maxSkippedBytes) {
      throw protocolError(`${this.#bytesSkipped} bytes between the packets of the camera make no sense`);
    }
    if (found >= 0 && (found === message || bytes.length - found > frameHeaderBytes)) {
      this.#isLost = false;
      return this.#parseOne(bytes, found);
    }
    return next;
  }
}

function isSurelyFrame(bytes: Buffer, position: number): boolean {
  const channel = bytes[position + 1] ?? 255;
  const isVersion2 = (bytes[position + 4] ?? 0) >> 6 === 2;
  return channel < 4 && isVersion2 && bytes.readUInt16BE(position + 2) >= 8;
}

function couldBeMessage(bytes: Buffer, position: number): 'yes' | 'no' | 'unknown' {
  const text = bytes.toString('latin1', position, position + longestMessageStart);
  if (messageStarts.some((start) => text.startsWith(start))) return 'yes';
  return text.length < longestMessageStart && messageStarts.some((start) => start.startsWith(text)) ? 'unknown' : 'no';
}

function protocolError(message: string): Error {
  return cameraError('SIGHTLINE_CAMERA_PROTOCOL', message);
}
