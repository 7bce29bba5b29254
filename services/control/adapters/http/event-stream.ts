import type { OutgoingHttpHeaders } from 'node:http';
import type { FastifyReply } from 'fastify';
import { BoundedQueue } from '#shared/core/bounded-queue';

/** What is handed to the socket at once; the rest waits where the newest can still push the oldest out. */
const maxSocketBytes = 64 * 1024;
/** Some seconds of results of a large site; more would only make what a slow client gets older. */
const maxWaitingEvents = 256;
const heartbeatMs = 15_000;
/** A client that takes nothing for so long is gone. */
const stalledMs = 60_000;

/**
 * Server-sent events to one client. What it is too slow for waits in a queue of its own, from which the oldest is dropped, counted, and told
 * when it reads again; it never holds anybody up, and what it gets then is the newest.
 */
export class EventStream {
  readonly #reply: FastifyReply;
  readonly #onDrop: (count: number) => void;
  readonly #heartbeat: NodeJS.Timeout;
  readonly #waiting = new BoundedQueue<string>({
    name: 'event-stream',
    capacity: maxWaitingEvents,
    whenFull: 'drop-oldest',
  });
  #dropped = 0;
  #fullSinceMs: number | null = null;

  constructor(reply: FastifyReply, onDrop: (count: number) => void = () => {}) {
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
    reply.raw.on('drain', () => this.#flush());
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
    this.sendText(event, JSON.stringify(data), id);
  }

  /** The same with data that is JSON already. */
  sendText(event: string, json: string, id?: string): void {
    const text = `event: ${event}\n${id === undefined ? '' : `id: ${id}\n`}data: ${json}\n\n`;
    if (this.#waiting.offer(text) !== undefined) {
      this.#dropped++;
      this.#onDrop(1);
    }
    this.#flush();
  }

  /** What waits is still sent. */
  end(): void {
    clearInterval(this.#heartbeat);
    for (let text = this.#waiting.take(); text !== undefined; text = this.#waiting.take()) this.#write(text);
    this.#reply.raw.end();
  }

  /** At once, whatever still waits. */
  cutOff(): void {
    this.#reply.raw.destroy();
  }

  #flush(): void {
    while (this.#reply.raw.writableLength <= maxSocketBytes) {
      const text = this.#waiting.take();
      if (text === undefined) break;
      if (this.#dropped > 0) this.#write(`event: dropped\ndata: {"count":${this.#dropped}}\n\n`);
      this.#dropped = 0;
      this.#write(text);
    }
    if (this.#waiting.size === 0) this.#fullSinceMs = null;
    else this.#fullSinceMs ??= performance.now();
  }

  #beat(): void {
    if (this.#fullSinceMs !== null && performance.now() - this.#fullSinceMs > stalledMs) this.#reply.raw.destroy();
    else if (this.#reply.raw.writableLength <= maxSocketBytes) this.#write(': heartbeat\n\n');
  }

  #write(text: string): void {
    if (!this.#reply.raw.writableEnded && !this.#reply.raw.destroyed) this.#reply.raw.write(text);
  }
}
