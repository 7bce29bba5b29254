import { parseLiveMessage } from '../core/live-message.ts';
import type { FrameResult } from '../core/types.ts';
import { frameResult } from './decode.ts';
import type { Schemas } from './schemas.ts';
import { readToken } from './token.ts';

export interface LiveFrame {
  readonly result: FrameResult;
  readonly jpeg: Blob;
}

export interface LiveOptions {
  readonly fps: number;
  readonly onFrame: (frame: LiveFrame) => void;
  readonly onState: (state: 'connecting' | 'open' | 'closed') => void;
}

const firstRetryMs = 500;
const lastRetryMs = 8_000;

/** Pictures and results of one camera until it is closed; a lost connection is made anew, each time after a longer wait. */
export function openLive(cameraId: string, options: LiveOptions): { close(): void } {
  let closed = false;
  let retryMs = firstRetryMs;
  let timer: number | undefined;
  let socket: WebSocket | undefined;

  function connect(): void {
    options.onState('connecting');
    const address = new URL(`/api/v1/cameras/${encodeURIComponent(cameraId)}/live`, location.href);
    address.protocol = address.protocol === 'https:' ? 'wss:' : 'ws:';
    address.searchParams.set('fps', String(options.fps));
    // A browser lets a page set no header here. The list of protocols is the one thing that is sent and appears in no log of addresses.
    const token = readToken();
    socket = new WebSocket(address, ['sightline.live.v1', ...(token === undefined ? [] : [`bearer.${token}`])]);
    socket.binaryType = 'arraybuffer';
    socket.onopen = () => options.onState('open');
    socket.onmessage = (event: MessageEvent<unknown>) => {
      if (!(event.data instanceof ArrayBuffer)) return;
      const message = parseLiveMessage(event.data);
      if (message === undefined) return;
      retryMs = firstRetryMs;
      options.onFrame({
        result: frameResult(message.json as Schemas['DetectionFrame']),
        jpeg: new Blob([message.jpeg], { type: 'image/jpeg' }),
      });
    };
    socket.onclose = () => {
      if (closed) return;
      options.onState('closed');
      timer = window.setTimeout(connect, retryMs);
      retryMs = Math.min(lastRetryMs, retryMs * 2);
    };
  }

  connect();
  return {
    close() {
      closed = true;
      window.clearTimeout(timer);
      socket?.close();
    },
  };
}
