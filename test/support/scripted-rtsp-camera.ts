import { createServer, type AddressInfo, type Socket } from 'node:net';
import { once } from 'node:events';

/** One request as the scripted camera heard it. */
export interface HeardRequest {
  readonly method: string;
  readonly url: string;
  readonly cseq: string;
  readonly text: string;
}

export interface ScriptedCamera {
  readonly port: number;
  readonly requests: readonly HeardRequest[];
  readonly connections: () => number;
  stop(): Promise<void>;
}

/** Says what the camera does about a request: text or bytes to send, or nothing. The socket is there for worse. */
export type CameraScript = (request: HeardRequest, socket: Socket) => string | Buffer | undefined;

export const videoSdp = [
  'v=0',
  'o=- 1 1 IN IP4 127.0.0.1',
  's=scripted',
  't=0 0',
  'm=video 0 RTP/AVP 96',
  'a=rtpmap:96 H264/90000',
  'a=control:track1',
  '',
].join('\r\n');

export function ok(request: HeardRequest, headers: Readonly<Record<string, string>> = {}, body = ''): string {
  const lines = Object.entries({ CSeq: request.cseq, ...headers, 'Content-Length': String(Buffer.byteLength(body)) });
  return `RTSP/1.0 200 OK\r\n${lines.map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n${body}`;
}

export function status(request: HeardRequest, code: number, headers: Readonly<Record<string, string>> = {}): string {
  const lines = Object.entries({ CSeq: request.cseq, ...headers });
  return `RTSP/1.0 ${code} Scripted\r\n${lines.map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n`;
}

/** A camera that does everything right and sends no video; scripts fall back on it. */
export function wellBehaved(request: HeardRequest): string {
  switch (request.method) {
    case 'OPTIONS':
      return ok(request, { Public: 'OPTIONS, DESCRIBE, SETUP, PLAY, GET_PARAMETER, TEARDOWN' });
    case 'DESCRIBE':
      return ok(request, { 'Content-Type': 'application/sdp' }, videoSdp);
    case 'SETUP':
      return ok(request, { Session: 'abc;timeout=60', Transport: 'RTP/AVP/TCP;unicast;interleaved=0-1' });
    default:
      return ok(request, { Session: 'abc' });
  }
}

/** An RTP packet of payload type 96 in its interleaved frame. */
export function rtpFrame(sequence: number, timestamp: number, payload: Uint8Array, channel = 0): Buffer {
  const bytes = Buffer.alloc(16 + payload.length);
  bytes[0] = 0x24;
  bytes[1] = channel;
  bytes.writeUInt16BE(12 + payload.length, 2);
  bytes[4] = 0x80;
  bytes[5] = 0x80 | 96;
  bytes.writeUInt16BE(sequence & 0xffff, 6);
  bytes.writeUInt32BE(timestamp >>> 0, 8);
  bytes.set(payload, 16);
  return bytes;
}

/** A camera that behaves as badly as the script says. Register `stop` for clean-up. */
export async function startScriptedCamera(script: CameraScript): Promise<ScriptedCamera> {
  const requests: HeardRequest[] = [];
  const sockets = new Set<Socket>();
  let connections = 0;
  const server = createServer((socket) => {
    connections += 1;
    sockets.add(socket);
    let text = '';
    socket.on('error', () => {});
    socket.on('close', () => sockets.delete(socket));
    socket.on('data', (chunk: Buffer) => {
      text += chunk.toString('latin1');
      for (let end = text.indexOf('\r\n\r\n'); end >= 0; end = text.indexOf('\r\n\r\n')) {
        const head = text.slice(0, end);
        text = text.slice(end + 4);
        const [method = '', url = ''] = head.split(' ');
        const request = { method, url, cseq: /^CSeq: (\d+)/im.exec(head)?.[1] ?? '', text: head };
        requests.push(request);
        const answer = script(request, socket);
        if (answer !== undefined && socket.writable) socket.write(answer);
      }
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    requests,
    connections: () => connections,
    stop: async () => {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}
