import type { Socket } from 'node:net';
import { cameraError } from '../../core/camera-failure.ts';
import { connectionError } from './camera-socket.ts';
import { within } from './deadline.ts';
import { formatMessage, headerOf, requestOf, statusOf, type RtspMessage } from './rtsp-message.ts';
import { RtspStreamParser, type RtspStreamSink } from './rtsp-stream-parser.ts';

export interface RtspResponse {
  readonly status: number;
  readonly message: RtspMessage;
}

/** Receiver of the media of a connection. */
export type FrameSink = Pick<RtspStreamSink, 'onFrame' | 'onReadEnd'>;

interface Pending {
  readonly resolve: (response: RtspResponse) => void;
  readonly reject: (error: Error) => void;
}

const userAgent = 'Sightline';
/** A camera may ask us things between packets; one that does nothing else is broken or hostile. */
const maxUnsolicited = 200;
const maxAnswerBacklogBytes = 64 * 1024;

/** Requests and answers over one connection to a camera, and the frames between them. Owns the socket. */
export class RtspConnection {
  readonly #socket: Socket;
  readonly #parser: RtspStreamParser;
  readonly #pending = new Map<number, Pending>();
  #sink: FrameSink | null = null;
  #nextCseq = 1;
  #unsolicited = 0;
  #failure: Error | null = null;
  #isClosed = false;
  readonly #what: string;
  /** Settles when the connection is gone: with the error that ended it, or null when the camera closed it in order. */
  readonly closed: Promise<Error | null>;
  #resolveClosed: (failure: Error | null) => void = () => {};

  constructor(socket: Socket, what: string) {
    this.#socket = socket;
    this.#what = what;
    this.closed = new Promise((resolve) => {
      this.#resolveClosed = resolve;
    });
    this.#parser = new RtspStreamParser({
      onFrame: (bytes, start, end) => {
        this.#unsolicited = 0;
        this.#sink?.onFrame(bytes, start, end);
      },
      onReadEnd: () => this.#sink?.onReadEnd(),
      onMessage: (message) => this.#takeMessage(message),
    });
    socket.on('data', (chunk: Buffer) => {
      try {
        this.#parser.push(chunk);
      } catch (error) {
        this.#fail(error instanceof Error ? error : new Error(String(error)));
      }
    });
    socket.on('error', (error) => this.#fail(asError(connectionError(error, what))));
    socket.on('close', () => this.#finish());
  }

  get bytesSkipped(): number {
    return this.#parser.bytesSkipped;
  }

  /** Frames before this are thrown away. */
  setSink(sink: FrameSink): void {
    this.#sink = sink;
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  /** Sends a request and waits for its answer. Headers must not hold line breaks. */
  async request(
    method: string,
    url: string,
    headers: Readonly<Record<string, string>>,
    timeoutMs: number,
    signal: AbortSignal,
  ): Promise<RtspResponse> {
    if (this.#isClosed || this.#failure !== null) throw this.#failure ?? this.#closedError();
    const cseq = this.#nextCseq++;
    const answer = new Promise<RtspResponse>((resolve, reject) => this.#pending.set(cseq, { resolve, reject }));
    const head = { CSeq: String(cseq), 'User-Agent': userAgent, ...headers };
    this.#socket.write(formatMessage(`${method} ${url} RTSP/1.0`, head));
    try {
      return await within(answer, timeoutMs, signal, () =>
        cameraError('SIGHTLINE_CAMERA_TIMEOUT', `${this.#what} did not answer ${method} within ${timeoutMs} ms`),
      );
    } finally {
      this.#pending.delete(cseq);
    }
  }

  /** Sends without waiting for the answer; for the last word. */
  sendLast(method: string, url: string, headers: Readonly<Record<string, string>>): void {
    if (this.#isClosed) return;
    const head = { CSeq: String(this.#nextCseq++), 'User-Agent': userAgent, ...headers };
    this.#socket.end(formatMessage(`${method} ${url} RTSP/1.0`, head));
  }

  destroy(): void {
    this.#socket.destroy();
  }

  #takeMessage(message: RtspMessage): void {
    const status = statusOf(message);
    if (status === undefined) {
      this.#answerCamera(message);
      return;
    }
    // 1xx says "still at it"; the answer comes later.
    if (status < 200) return;
    const cseqText = headerOf(message, 'cseq');
    // Some cameras forget CSeq; with one request under way there is no doubt whose answer it is.
    const cseq = cseqText === undefined && this.#pending.size === 1 ? firstKey(this.#pending) : Number(cseqText);
    const pending = cseq === undefined ? undefined : this.#pending.get(cseq);
    if (pending !== undefined) {
      pending.resolve({ status, message });
      return;
    }
    // The answer to a request that we gave up on comes late and does no harm; one to a request never made is a fault.
    if (cseq !== undefined && cseq > 0 && cseq < this.#nextCseq) return;
    throw cameraError('SIGHTLINE_CAMERA_PROTOCOL', `${this.#what} answered a request that was not made (wrong CSeq)`);
  }

  #answerCamera(message: RtspMessage): void {
    this.#unsolicited += 1;
    if (this.#unsolicited > maxUnsolicited || this.#socket.writableLength > maxAnswerBacklogBytes) {
      throw cameraError('SIGHTLINE_CAMERA_PROTOCOL', `${this.#what} sends requests without end`);
    }
    const method = requestOf(message)?.method;
    const cseq = headerOf(message, 'cseq');
    if (method === undefined || cseq === undefined || !/^\d{1,10}$/.test(cseq)) return;
    const isHarmless = method === 'OPTIONS' || method === 'GET_PARAMETER' || method === 'SET_PARAMETER';
    const startLine = isHarmless ? 'RTSP/1.0 200 OK' : 'RTSP/1.0 501 Not Implemented';
    this.#socket.write(formatMessage(startLine, { CSeq: cseq }));
  }

  #fail(error: Error): void {
    this.#failure ??= error;
    this.#socket.destroy();
  }

  #finish(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    for (const pending of this.#pending.values()) pending.reject(this.#failure ?? this.#closedError());
    this.#pending.clear();
    this.#resolveClosed(this.#failure);
  }

  #closedError(): Error {
    return cameraError('SIGHTLINE_CAMERA_PROTOCOL', `${this.#what} closed the connection without an answer`);
  }
}

function firstKey(map: ReadonlyMap<number, unknown>): number | undefined {
  return map.keys().next().value;
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}
