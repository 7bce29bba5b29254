/** What showinfo said of one sampled frame. */
export interface FrameNote {
  readonly ptsUs: number | null;
  readonly widthPx: number;
  readonly heightPx: number;
}

/** What ffmpeg said of the stream that it reads. */
export interface InputNotes {
  readonly codec: string | null;
  readonly widthPx: number | null;
  readonly heightPx: number | null;
  readonly fps: number | null;
  readonly durationMs: number | null;
  readonly creationTimeUs: number | null;
}

/** Why there are no pictures, as far as ffmpeg's words tell. Nothing else in it does. */
export interface TroubleNotes {
  readonly codecRefused: boolean;
  readonly noVideo: boolean;
  readonly brokenOff: boolean;
}

const framePattern = /\] n: *\d+ pts: *(-?\d+|NOPTS) .*? s:(\d+)x(\d+) /;
const timeBasePattern = /config in time_base: (\d+)\/(\d+)/;
const streamPattern = /^\[info\] +Stream #0:\d+.*?: Video: (\w+)/;
const sizePattern = /, (\d{1,5})x(\d{1,5})[ ,]/;
const fpsPattern = /, ([\d.]+)(k?) fps/;
const durationPattern = /^\[info\] +Duration: (\d+):(\d+):(\d+)\.(\d+)/;
const creationPattern = /^\[info\] +creation_time +: (\S+)/;
/** The last message of each damaged picture, in the words of 4.x to 9.x; the others name a part of it and would count it again. */
const damagePattern =
  /corrupt decoded frame|Error while decoding stream|Error submitting (a )?packet to (the )?decoder/;
const refusedCodecPattern = /Codec \((\w+)\) not on whitelist/;
const noDecoderPattern =
  /Decoder .* not found|Decoding requested, but no decoder|Unknown decoder|no decoder found for/i;
const noVideoPattern = /matches no streams|does not contain any stream/;
const brokenOffPattern = /partial file|moov atom not found|[Tt]runcat|File ended prematurely|Error during demuxing/;

/**
 * Reads ffmpeg's stderr: the notes of frames, facts of the input, and what is wrong. Every other line goes to `onLine`. Works on chunks cut
 * anywhere. ffmpeg writes the note of a frame before the bytes of the frame.
 */
export class StderrParser {
  readonly #onLine: (line: string) => void;
  readonly #notes: FrameNote[] = [];
  #rest = '';
  #timeBase = 1;
  #inInput = false;
  #videoSeen = false;
  #damaged = 0;
  #input: { -readonly [Name in keyof InputNotes]: InputNotes[Name] } = {
    codec: null,
    widthPx: null,
    heightPx: null,
    fps: null,
    durationMs: null,
    creationTimeUs: null,
  };
  readonly #refusedCodecs = new Set<string>();
  #noDecoder = false;
  #noVideo = false;
  #brokenOff = false;

  constructor(onLine: (line: string) => void) {
    this.#onLine = onLine;
  }

  get input(): InputNotes {
    return this.#input;
  }

  get trouble(): TroubleNotes {
    const { codec } = this.#input;
    // An audio codec that is not on the list is as it should be; `none` is a codec that ffmpeg has no name for.
    const codecRefused = this.#noDecoder || codec === 'none' || (codec !== null && this.#refusedCodecs.has(codec));
    return { codecRefused, noVideo: this.#noVideo, brokenOff: this.#brokenOff };
  }

  /** The note of the next frame, or undefined while there is none. */
  takeNote(): FrameNote | undefined {
    return this.#notes.shift();
  }

  /** Damaged pictures since the last call. */
  takeDamaged(): number {
    const damaged = this.#damaged;
    this.#damaged = 0;
    return damaged;
  }

  feed(text: string): void {
    const whole = this.#rest + text;
    let start = 0;
    for (let end = whole.indexOf('\n'); end >= 0; end = whole.indexOf('\n', start)) {
      this.#line(whole.slice(start, end));
      start = end + 1;
    }
    this.#rest = whole.slice(start);
    // A line that never ends is no line of ffmpeg's; it must not fill the memory.
    if (this.#rest.length > 65_536) this.#rest = '';
  }

  #line(line: string): void {
    if (line.startsWith('[Parsed_showinfo')) {
      this.#showinfo(line);
      return;
    }
    this.#facts(line);
    this.#troubles(line);
    if (line !== '') this.#onLine(line);
  }

  #showinfo(line: string): void {
    const frame = framePattern.exec(line);
    if (frame !== null) {
      const pts = frame[1] === 'NOPTS' ? null : Number(frame[1]);
      // pts_time has six digits only, too few after some minutes.
      const ptsUs = pts === null ? null : Math.round(pts * this.#timeBase * 1_000_000);
      this.#notes.push({ ptsUs, widthPx: Number(frame[2]), heightPx: Number(frame[3]) });
      return;
    }
    const base = timeBasePattern.exec(line);
    if (base !== null) this.#timeBase = Number(base[1]) / Number(base[2]);
  }

  #facts(line: string): void {
    if (!line.startsWith('[info] ')) return;
    if (line.startsWith('[info] Input #0')) this.#inInput = true;
    else if (/^\[info\] (Stream mapping|Output #)/.test(line)) this.#inInput = false;
    if (!this.#inInput) return;
    const duration = durationPattern.exec(line);
    if (duration !== null) {
      const [hours, minutes, seconds, hundredths] = duration.slice(1).map(Number) as [number, number, number, number];
      this.#input.durationMs = ((hours * 60 + minutes) * 60 + seconds) * 1000 + hundredths * 10;
    }
    const creation = creationPattern.exec(line);
    if (creation !== null && !this.#videoSeen) {
      const timeMs = Date.parse(creation[1] ?? '');
      // 1904 and 1970 are what a muxer writes that does not know.
      if (timeMs > Date.UTC(1980, 0, 1)) this.#input.creationTimeUs ??= timeMs * 1000;
    }
    const stream = streamPattern.exec(line);
    if (stream === null || this.#videoSeen || line.includes('(attached pic)')) return;
    this.#videoSeen = true;
    this.#input.codec = stream[1] ?? null;
    const size = sizePattern.exec(line);
    if (size !== null) {
      this.#input.widthPx = Number(size[1]);
      this.#input.heightPx = Number(size[2]);
    }
    const fps = fpsPattern.exec(line);
    if (fps !== null) this.#input.fps = Number(fps[1]) * (fps[2] === 'k' ? 1000 : 1);
  }

  #troubles(line: string): void {
    if (line.startsWith('[info]')) return;
    if (damagePattern.test(line)) this.#damaged++;
    const refused = refusedCodecPattern.exec(line)?.[1];
    if (refused !== undefined) this.#refusedCodecs.add(refused);
    if (noDecoderPattern.test(line)) this.#noDecoder = true;
    if (noVideoPattern.test(line)) this.#noVideo = true;
    if (brokenOffPattern.test(line)) this.#brokenOff = true;
  }
}
