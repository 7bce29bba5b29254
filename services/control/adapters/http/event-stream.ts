import type { OutgoingHttpHeaders } from 'node:http';
import type { FastifyReply } from 'fastify';

/** What may wait for a slow client. A second of results of a large site; more would only make what it gets older. */
const maxWaitingBytes = 256 * 1024;
const heartbeatMs = 15_000;
/** A client that takes nothing for so long is gone. */
const stalledMs = 60_000;

/** Server-sent events to one client. What it is too slow for is left out, counted, and told when it reads again; it never holds anybody up. */
export class EventStream {
  readonly #reply: FastifyReply;
  readonly #onDrop: () => void;
  readonly #heartbeat: NodeJS.Timeout;
  #dropped = 0;
  #fullSinceMs: number | null = null;

  constructor(reply: FastifyReply, onDrop: () => void = () => {}) {
    this.#reply = reply;
    this.#onDrop = onDrop;
    reply.hijack();
    reply.raw.writeHead(200, {
      // Security headers that were set on the way here.
      ...(reply.getHeaders() as OutgoingHttpHeaders), // what was set is what node takes
      'content-type': 'text/event-stream; charset=utf-8',
      'cache-control': 'no-store',
      'x-accel-buffering': 'no',
    });
    // A socket that breaks is closed; the 'close' event tells.
    reply.raw.on('error', () => reply.raw.destroy());
    this.#write(': connected\n\n');
    this.#heartbeat = setInterval(() => this.#beat(), heartbeatMs);
    this.#heartbeat.unref();
    reply.raw.once('close', () => clearInterval(this.#heartbeat));
  }

  /** Calls `listener` when the client has gone. */
  onClose(listener: () => void): void {
    if (this.#reply.raw.closed || this.#reply.raw.destroyed) listener();
    else this.#reply.raw.once('close', listener);
  }

  send(event: string, data: unknown, id?: string): void {
    if (this.#reply.raw.writableLength > maxWaitingBytes) {
      this.#fullSinceMs ??= performance.now();
      this.#dropped++;
      this.#onDrop();
      return;
    }
    this.#fullSinceMs = null;
    if (this.#dropped > 0) {
      this.#write(`event: dropped\ndata: {"count":${this.#dropped}}\n\n`);
      this.#dropped = 0;
    }
    this.#write(`event: ${event}\n${id === undefined ? '' : `id: ${id}\n`}data: ${JSON.stringify(data)}\n\n`);
  }

  end(): void {
    clearInterval(this.#heartbeat);
    this.#reply.raw.end();
  }

  #beat(): void {
    if (this.#fullSinceMs !== null && performance.now() - this.#fullSinceMs > stalledMs) this.#reply.raw.destroy();
    else if (this.#reply.raw.writableLength <= maxWaitingBytes) this.#write(': heartbeat\n\n');
  }

  #write(text: string): void {
    if (!this.#reply.raw.writableEnded && !this.#reply.raw.destroyed) this.#reply.raw.write(text);
  }
}
