import { randomBytes, timingSafeEqual } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { formatMessage, headerOf, requestOf, type RtspMessage } from './rtsp-message.ts';
import { RtspStreamParser } from './rtsp-stream-parser.ts';

export interface LocalEndpointEvents {
  /** The consumer may be sent video from now on. */
  onPlay(): void;
  /** The consumer left, or nobody came in time. Called once. */
  onGone(reason: 'left' | 'nobody-came'): void;
  /** What was written has gone out. */
  onDrain(): void;
}

export const controlName = 'video';

const loopback = '127.0.0.1';
const sessionId = '1';
/** Others on this machine who knock without the token. Enough for a port scan, too few to be held up by. */
const maxStrangers = 16;
const strangerTimeoutMs = 2000;

/**
 * An RTSP server for one consumer: the first connection whose first request carries the token in its path gets the video, and nobody
 * after it. The token is on the consumer's command line, where other users of the machine can read it; it is of no use once the consumer
 * has connected.
 */
export class LocalEndpoint {
  readonly url: string;
  readonly #server: Server;
  readonly #path: string;
  readonly #sdp: string;
  readonly #events: LocalEndpointEvents;
  readonly #strangers = new Set<Socket>();
  readonly #waitTimer: NodeJS.Timeout;
  #consumer: Socket | null = null;
  #isGone = false;

  private constructor(server: Server, path: string, sdp: string, waitMs: number, events: LocalEndpointEvents) {
    this.#server = server;
    this.#path = path;
    this.#sdp = sdp;
    this.#events = events;
    this.url = `rtsp://${loopback}:${(server.address() as AddressInfo).port}${path}`;
    this.#waitTimer = setTimeout(() => this.#leave('nobody-came'), waitMs);
    server.on('connection', (socket) => this.#greet(socket));
    server.on('error', () => this.#leave('nobody-came'));
  }

  static async open(sdp: string, waitMs: number, events: LocalEndpointEvents): Promise<LocalEndpoint> {
    const server = createServer({ noDelay: true });
    server.listen(0, loopback);
    await once(server, 'listening');
    return new LocalEndpoint(server, `/${randomBytes(16).toString('hex')}`, sdp, waitMs, events);
  }

  /** Bytes handed over that the consumer has not taken yet. */
  get backlogBytes(): number {
    return this.#consumer?.writableLength ?? 0;
  }

  cork(): void {
    this.#consumer?.cork();
  }

  uncork(): void {
    this.#consumer?.uncork();
  }

  /** Sends interleaved frames as they are. */
  write(bytes: Buffer): void {
    this.#consumer?.write(bytes);
  }

  /** Ends the stream: what was written still goes out. */
  close(): void {
    this.#stopListening();
    this.#isGone = true;
    this.#consumer?.end();
    this.#consumer?.setTimeout(1000, () => this.#consumer?.destroy());
  }

  #greet(socket: Socket): void {
    if (this.#consumer !== null || this.#strangers.size >= maxStrangers) {
      socket.destroy();
      return;
    }
    this.#strangers.add(socket);
    const parser = new RtspStreamParser({
      // Receiver reports of the consumer's: the camera's sender does not adapt to them.
      onFrame: () => {},
      onReadEnd: () => {},
      onMessage: (message) => this.#takeRequest(socket, message),
    });
    socket.setTimeout(strangerTimeoutMs, () => socket.destroy());
    socket.on('data', (chunk: Buffer) => {
      try {
        parser.push(chunk);
      } catch {
        socket.destroy();
      }
    });
    socket.on('error', () => socket.destroy());
    socket.on('drain', () => this.#events.onDrain());
    socket.on('close', () => {
      this.#strangers.delete(socket);
      if (socket === this.#consumer) this.#leave('left');
    });
  }

  #takeRequest(socket: Socket, message: RtspMessage): void {
    const request = requestOf(message);
    const cseq = headerOf(message, 'cseq') ?? '0';
    const isWellFormed = request !== undefined && /^\d{1,10}$/.test(cseq);
    if (!isWellFormed || !this.#carriesToken(request.url) || (this.#consumer !== null && socket !== this.#consumer)) {
      socket.end(formatMessage('RTSP/1.0 404 Not Found', { CSeq: isWellFormed ? cseq : '0' }));
      return;
    }
    if (this.#consumer === null) this.#admit(socket);
    this.#answer(socket, request.method, cseq, headerOf(message, 'transport') ?? '');
  }

  #admit(socket: Socket): void {
    this.#consumer = socket;
    this.#strangers.delete(socket);
    socket.setTimeout(0);
    this.#stopListening();
  }

  #answer(socket: Socket, method: string, cseq: string, transport: string): void {
    const ok = 'RTSP/1.0 200 OK';
    switch (method) {
      case 'OPTIONS': {
        const methods = 'OPTIONS, DESCRIBE, SETUP, PLAY, GET_PARAMETER, TEARDOWN';
        socket.write(formatMessage(ok, { CSeq: cseq, Public: methods }));
        return;
      }
      case 'DESCRIBE': {
        const length = String(Buffer.byteLength(this.#sdp));
        const headers = { 'Content-Base': `${this.url}/`, 'Content-Type': 'application/sdp', 'Content-Length': length };
        socket.write(formatMessage(ok, { CSeq: cseq, ...headers }, this.#sdp));
        return;
      }
      case 'SETUP':
        if (!/RTP\/AVP\/TCP/i.test(transport)) {
          socket.write(formatMessage('RTSP/1.0 461 Unsupported Transport', { CSeq: cseq }));
          return;
        }
        socket.write(
          formatMessage(ok, {
            CSeq: cseq,
            Session: sessionId,
            Transport: 'RTP/AVP/TCP;unicast;interleaved=0-1',
          }),
        );
        return;
      case 'PLAY':
        // No Range and no RTP-Info: either would move the zero of the decoder's timestamps away from the first packet.
        socket.write(formatMessage(ok, { CSeq: cseq, Session: sessionId }));
        this.#events.onPlay();
        return;
      case 'GET_PARAMETER':
        socket.write(formatMessage(ok, { CSeq: cseq, Session: sessionId }));
        return;
      case 'TEARDOWN':
        socket.end(formatMessage(ok, { CSeq: cseq, Session: sessionId }));
        return;
      default:
        socket.write(formatMessage('RTSP/1.0 501 Not Implemented', { CSeq: cseq }));
    }
  }

  #carriesToken(url: string): boolean {
    const path = /^rtsp:\/\/[^/]*(\/[^/?]*)/i.exec(url)?.[1] ?? '';
    const given = Buffer.from(path);
    const wanted = Buffer.from(this.#path);
    return given.length === wanted.length && timingSafeEqual(given, wanted);
  }

  #stopListening(): void {
    clearTimeout(this.#waitTimer);
    this.#server.close();
    for (const stranger of this.#strangers) stranger.destroy();
    this.#strangers.clear();
  }

  #leave(reason: 'left' | 'nobody-came'): void {
    if (this.#isGone) return;
    this.#isGone = true;
    this.#stopListening();
    this.#events.onGone(reason);
  }
}
