import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { isIPv6 } from 'node:net';
import type { Clock } from '#shared/core/clock';
import { cameraError } from '../../core/camera-failure.ts';
import { ReorderBuffer } from './reorder-buffer.ts';
import { isRtp, rtpSequence } from './rtp.ts';

export interface UdpSink {
  /** RTP packets in order. */
  onRtp(packet: Buffer): void;
  onRtcp(packet: Buffer): void;
}

const firstPort = 20_000;
const lastPort = 60_000;
const bindAttempts = 30;
const receiveBufferBytes = 1024 * 1024;
const expiryCheckMs = 20;
/** An empty RTP packet: it opens the way back through firewalls between the camera and us. */
const opener = Buffer.from([0x80, 0x7f, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);

/** A pair of UDP ports that takes packets from one camera and from nobody else. */
export class UdpReceiver {
  readonly ports: readonly [number, number];
  readonly #rtp: Socket;
  readonly #rtcp: Socket;
  readonly #reorder: ReorderBuffer;
  readonly #remoteAddress: string;
  #expiry: NodeJS.Timeout | undefined;

  private constructor(rtp: Socket, rtcp: Socket, remoteAddress: string, sink: UdpSink, clock: Clock) {
    this.#rtp = rtp;
    this.#rtcp = rtcp;
    this.#remoteAddress = remoteAddress;
    this.ports = [rtp.address().port, rtcp.address().port];
    this.#reorder = new ReorderBuffer((packet) => sink.onRtp(packet));
    rtp.on('message', (packet, from) => {
      if (!this.#isCamera(from.address) || !isRtp(packet, 0, packet.length)) return;
      this.#reorder.push(rtpSequence(packet, 0), packet, clock.monotonicMs());
      if (this.#reorder.isWaiting) this.#watchExpiry(clock);
    });
    rtcp.on('message', (packet, from) => {
      if (this.#isCamera(from.address)) sink.onRtcp(packet);
    });
    // Errors of single datagrams (port unreachable) say nothing; silence does, and is watched elsewhere.
    rtp.on('error', () => {});
    rtcp.on('error', () => {});
  }

  static async open(remoteAddress: string, sink: UdpSink, clock: Clock): Promise<UdpReceiver> {
    for (let attempt = 0; attempt < bindAttempts; attempt++) {
      // RFC 3550 wants an even port for RTP and the next one for RTCP.
      const port = (firstPort + Math.floor(Math.random() * (lastPort - firstPort))) & ~1;
      const rtp = await bind(port, remoteAddress);
      if (rtp === undefined) continue;
      const rtcp = await bind(port + 1, remoteAddress);
      if (rtcp !== undefined) return new UdpReceiver(rtp, rtcp, remoteAddress, sink, clock);
      rtp.close();
    }
    throw cameraError('SIGHTLINE_CAMERA_UNREACHABLE', 'no free pair of UDP ports on this machine');
  }

  get packetsReordered(): number {
    return this.#reorder.packetsReordered;
  }

  openWay(serverPorts: readonly [number, number]): void {
    this.#rtp.send(opener, serverPorts[0], this.#remoteAddress, () => {});
  }

  close(): void {
    clearTimeout(this.#expiry);
    this.#rtp.close();
    this.#rtcp.close();
  }

  #isCamera(address: string): boolean {
    return address === this.#remoteAddress;
  }

  /** The next packet usually settles a gap; this is for the last one before a pause. */
  #watchExpiry(clock: Clock): void {
    this.#expiry ??= setTimeout(() => {
      this.#expiry = undefined;
      this.#reorder.expire(clock.monotonicMs());
      if (this.#reorder.isWaiting) this.#watchExpiry(clock);
    }, expiryCheckMs).unref();
  }
}

async function bind(port: number, remoteAddress: string): Promise<Socket | undefined> {
  const socket = createSocket({ type: isIPv6(remoteAddress) ? 'udp6' : 'udp4' });
  try {
    socket.bind(port);
    await once(socket, 'listening');
  } catch {
    socket.close();
    return undefined;
  }
  try {
    socket.setRecvBufferSize(receiveBufferBytes);
  } catch {
    // The system's limit is lower; it works with less.
  }
  return socket;
}
