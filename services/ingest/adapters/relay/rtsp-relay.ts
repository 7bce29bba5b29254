import { AppError } from '#shared/core/errors';
import { cameraError, reasonOf } from '../../core/camera-failure.ts';
import type { CameraAddress } from '../../core/camera-url.ts';
import { RtpCaptureClock } from '../../core/capture-clock.ts';
import { controlName, LocalEndpoint } from './local-endpoint.ts';
import { PacketCounter } from './packet-counter.ts';
import { PictureObserver } from './picture-observer.ts';
import { relayDefaults } from './relay-defaults.ts';
import type {
  CameraFacts,
  CameraRelay,
  CameraTransport,
  PictureFigures,
  RelayContext,
  RelayEnd,
  RelayOptions,
  RelayStats,
} from './relay-types.ts';
import { isRtp, readRtcp, rtpPayloadOffset, rtpPayloadType, rtpSequence, rtpTimestamp } from './rtp.ts';
import { openRtspSession, type AgreedTransport, type RtspSession } from './rtsp-session.ts';
import { describeForDecoder } from './sdp.ts';
import { UdpReceiver } from './udp-receiver.ts';

/** Bytes that may wait for the consumer before the camera is made to wait. About two seconds of a 4K stream. */
const maxBacklogBytes = 2 * 1024 * 1024;
const interleavedHeaderBytes = 4;
const tearDownGraceMs = 500;

/** Connects to an RTSP camera up to SETUP; it is told to play when the consumer says so. */
export async function openRtspRelay(
  camera: CameraAddress,
  options: RelayOptions,
  context: RelayContext,
): Promise<CameraRelay> {
  const transport = options.transport ?? 'tcp';
  const abort = new AbortController();
  const signal = context.signal === undefined ? abort.signal : AbortSignal.any([context.signal, abort.signal]);
  const requestTimeoutMs = options.requestTimeoutMs ?? relayDefaults.requestTimeoutMs;
  const session = await openRtspSession(camera, {
    policy: options.policy ?? {},
    timeoutMs: options.connectTimeoutMs ?? relayDefaults.connectTimeoutMs,
    requestTimeoutMs,
    tlsInsecure: options.tlsInsecure ?? false,
    tlsCa: options.tlsCa,
    clock: context.clock,
    signal,
    onStep: options.onStep ?? (() => {}),
  });
  const relay = new RtspRelay(session, camera, transport, options, context, abort);
  try {
    await relay.prepare();
    return relay;
  } catch (error) {
    await relay.close();
    throw error;
  }
}

class RtspRelay implements CameraRelay {
  readonly captureClock: RtpCaptureClock;
  readonly closed: Promise<RelayEnd>;
  readonly facts: CameraFacts;
  readonly #session: RtspSession;
  readonly #transport: CameraTransport;
  readonly #options: RelayOptions;
  readonly #context: RelayContext;
  readonly #abort: AbortController;
  readonly #counter = new PacketCounter();
  readonly #isJpeg: boolean;
  readonly #observer: PictureObserver | null;
  #endpoint: LocalEndpoint | null = null;
  #udp: UdpReceiver | null = null;
  #agreed: AgreedTransport = { rtpChannel: 0, rtcpChannel: 1, serverPorts: null };
  /** Frames that lie one behind the other in one read go out in one write. */
  #run: Buffer | null = null;
  #runStart = 0;
  #runEnd = 0;
  #isCorked = false;
  #isForwarding = false;
  #isPaused = false;
  #packetsAtLastCheck = 0;
  #senderReports = 0;
  #silenceTimer: NodeJS.Timeout | undefined;
  #end: RelayEnd | null = null;
  #resolveClosed: (end: RelayEnd) => void = () => {};
  #closing: Promise<void> | null = null;
  readonly #onAbort = (): void => void this.close();

  constructor(
    session: RtspSession,
    camera: CameraAddress,
    transport: CameraTransport,
    options: RelayOptions,
    context: RelayContext,
    abort: AbortController,
  ) {
    this.#session = session;
    this.#transport = transport;
    this.#options = options;
    this.#context = context;
    this.#abort = abort;
    this.#isJpeg = session.track.codec === 'mjpeg';
    this.#observer =
      options.observePictures === true ? new PictureObserver(session.track.codec, session.track.clockRateHz) : null;
    this.captureClock = new RtpCaptureClock({ clockRateHz: session.track.clockRateHz, clock: context.clock });
    this.closed = new Promise((resolve) => {
      this.#resolveClosed = resolve;
    });
    this.facts = {
      codec: session.track.codec,
      declaredFps: session.track.declaredFps,
      widthPx: session.track.widthPx,
      heightPx: session.track.heightPx,
      serverName: session.serverName,
      transport,
      isEncrypted: camera.scheme === 'rtsps',
      authScheme: session.authScheme,
      remoteAddress: session.remoteAddress,
      redirects: session.redirects,
    };
    context.signal?.addEventListener('abort', this.#onAbort, { once: true });
    void session.connection.closed.then((failure) => this.#onCameraClosed(failure));
  }

  get localUrl(): string {
    if (this.#endpoint === null) throw new AppError('SIGHTLINE_INTERNAL', 'the relay is not prepared');
    return this.#endpoint.url;
  }

  async prepare(): Promise<void> {
    const connection = this.#session.connection;
    if (this.#transport === 'udp') {
      const sink = {
        onRtp: (packet: Buffer) => this.#onDatagram(packet),
        onRtcp: (packet: Buffer) => this.#onRtcp(packet, 0, packet.length),
      };
      this.#udp = await UdpReceiver.open(this.#session.remoteAddress, sink, this.#context.clock);
    }
    this.#agreed = await this.#session.setUp(this.#transport, this.#udp?.ports ?? null);
    this.#endpoint = await LocalEndpoint.open(
      describeForDecoder(this.#session.track, controlName),
      this.#options.consumerTimeoutMs ?? relayDefaults.consumerTimeoutMs,
      {
        onPlay: () => this.#startCamera(),
        onGone: (reason) => this.#finish({ reason: 'STOPPED', text: consumerGone[reason], error: null }),
        onDrain: () => this.#resumeCamera(),
      },
    );
    connection.setSink({
      onFrame: (bytes, start, end) => this.#onFrame(bytes, start, end),
      onReadEnd: () => this.#flushRun(),
    });
    // Ended while it was being prepared: nobody would close the endpoint.
    if (this.#end !== null) throw this.#end.error ?? cameraError('SIGHTLINE_CAMERA_UNREACHABLE', this.#end.text);
  }

  stats(): RelayStats {
    return {
      bytes: this.#counter.bytes,
      packets: this.#counter.packets,
      packetsLost: this.#counter.packetsLost,
      packetsReordered: this.#udp?.packetsReordered ?? 0,
      bytesSkipped: this.#session.connection.bytesSkipped,
      packetLossRatio: this.#counter.lossRatio,
      senderReports: this.#senderReports,
    };
  }

  pictures(): PictureFigures | null {
    return this.#observer?.figures ?? null;
  }

  close(): Promise<void> {
    this.#finish({ reason: 'STOPPED', text: 'closed by us', error: null });
    return this.#closing ?? Promise.resolve();
  }

  #startCamera(): void {
    if (this.#isForwarding || this.#end !== null) return;
    this.#isForwarding = true;
    this.#session.play().catch((error: unknown) => this.#fail(error));
    if (this.#agreed.serverPorts !== null) this.#udp?.openWay(this.#agreed.serverPorts);
    const silenceMs = this.#options.silenceTimeoutMs ?? relayDefaults.silenceTimeoutMs;
    this.#silenceTimer = setInterval(() => this.#checkSilence(silenceMs), silenceMs);
  }

  #onFrame(bytes: Buffer, start: number, end: number): void {
    const channel = bytes[start + 1];
    const packet = start + interleavedHeaderBytes;
    if (channel === this.#agreed.rtcpChannel) {
      this.#onRtcp(bytes, packet, end);
      return;
    }
    if (channel !== this.#agreed.rtpChannel || !this.#takeRtp(bytes, packet, end)) return;
    // The consumer was promised channel 0. The bytes are ours alone: nobody reads them after this.
    if (channel !== 0) bytes[start + 1] = 0;
    if (bytes === this.#run && start === this.#runEnd) {
      this.#runEnd = end;
      return;
    }
    if (this.#run !== null) {
      if (!this.#isCorked) this.#endpoint?.cork();
      this.#isCorked = true;
      this.#writeRun();
    }
    this.#run = bytes;
    this.#runStart = start;
    this.#runEnd = end;
  }

  #onDatagram(packet: Buffer): void {
    if (!this.#takeRtp(packet, 0, packet.length)) return;
    const framed = Buffer.allocUnsafe(interleavedHeaderBytes + packet.length);
    framed[0] = 0x24;
    framed[1] = 0;
    framed.writeUInt16BE(packet.length, 2);
    packet.copy(framed, interleavedHeaderBytes);
    // UDP cannot be made to wait: beyond the limit packets are lost here, and show as lost in the picture.
    if (this.#endpoint !== null && this.#endpoint.backlogBytes <= maxBacklogBytes) this.#endpoint.write(framed);
  }

  /** Counts a packet and feeds the clock; false when it is not to be forwarded. */
  #takeRtp(bytes: Buffer, offset: number, end: number): boolean {
    if (!this.#isForwarding || !isRtp(bytes, offset, end)) return false;
    if (rtpPayloadType(bytes, offset) !== this.#session.track.payloadType) return false;
    // The decoder passes over the rest of a JPEG picture whose start it did not see, and counts its time from the next one.
    if (this.#isJpeg && this.#counter.packets === 0 && !isJpegStart(bytes, offset, end)) return false;
    this.#counter.note(rtpSequence(bytes, offset), end - offset);
    this.captureClock.noteRtp(rtpTimestamp(bytes, offset));
    this.#observer?.note(bytes, offset, end);
    return true;
  }

  /** Read here and not forwarded: a sender report before the first packet would move the zero of the decoder's timestamps. */
  #onRtcp(bytes: Buffer, offset: number, end: number): void {
    const { senderReport, isGoodbye } = readRtcp(bytes, offset, end);
    if (senderReport !== null) {
      this.#senderReports += 1;
      this.captureClock.noteSenderReport(senderReport.ntpUs, senderReport.rtpTimestamp);
    }
    if (isGoodbye && this.#isForwarding) {
      this.#flushRun();
      this.#finish({ reason: 'END_OF_STREAM', text: 'the camera ended the stream', error: null });
    }
  }

  #flushRun(): void {
    if (this.#run === null || this.#endpoint === null) return;
    this.#writeRun();
    if (this.#isCorked) this.#endpoint.uncork();
    this.#isCorked = false;
    if (!this.#isPaused && this.#endpoint.backlogBytes > maxBacklogBytes) {
      this.#isPaused = true;
      this.#session.connection.pause();
    }
  }

  #writeRun(): void {
    if (this.#run !== null) this.#endpoint?.write(this.#run.subarray(this.#runStart, this.#runEnd));
    this.#run = null;
  }

  #resumeCamera(): void {
    if (!this.#isPaused) return;
    this.#isPaused = false;
    this.#session.connection.resume();
  }

  #checkSilence(silenceMs: number): void {
    const packets = this.#counter.packets;
    // Paused: it is the consumer that does not take what the camera sent.
    const isSilent = packets === this.#packetsAtLastCheck && !this.#isPaused;
    this.#packetsAtLastCheck = packets;
    if (!isSilent) return;
    const text = `the camera sent nothing for ${silenceMs} ms`;
    const action =
      this.#transport === 'udp' && packets === 0
        ? { action: 'No UDP packet came through: use the transport tcp, or open the way for UDP.' }
        : {};
    this.#finish({ reason: 'STALLED', text, error: cameraError('SIGHTLINE_CAMERA_TIMEOUT', text, action) });
  }

  #onCameraClosed(failure: Error | null): void {
    if (failure !== null) {
      this.#fail(failure);
      return;
    }
    if (this.#counter.packets > 0) {
      this.#finish({ reason: 'END_OF_STREAM', text: 'the camera closed the connection', error: null });
      return;
    }
    const text = 'the camera closed the connection before it sent video';
    this.#finish({ reason: 'UNREACHABLE', text, error: cameraError('SIGHTLINE_CAMERA_UNREACHABLE', text) });
  }

  #fail(thrown: unknown): void {
    const error =
      thrown instanceof AppError ? thrown : new AppError('SIGHTLINE_INTERNAL', 'the relay failed', { cause: thrown });
    this.#finish({ reason: reasonOf(error), text: error.message, error });
  }

  #finish(end: RelayEnd): void {
    if (this.#end !== null) return;
    this.#end = end;
    this.#isForwarding = false;
    this.#closing = this.#release().finally(() => this.#resolveClosed(end));
  }

  async #release(): Promise<void> {
    clearInterval(this.#silenceTimer);
    this.#context.signal?.removeEventListener('abort', this.#onAbort);
    this.#endpoint?.close();
    this.#udp?.close();
    const connection = this.#session.connection;
    // Paused, it would never see the camera's end of the conversation.
    connection.resume();
    this.#session.tearDown();
    const timer = setTimeout(() => connection.destroy(), tearDownGraceMs);
    await connection.closed;
    clearTimeout(timer);
    this.#abort.abort();
  }
}

const consumerGone = {
  left: 'the consumer left',
  'nobody-came': 'nobody fetched the stream',
} as const;

/** Bytes 1 to 3 of the JPEG payload header are the fragment's offset (RFC 2435 3.1). */
function isJpegStart(bytes: Buffer, offset: number, end: number): boolean {
  const payload = rtpPayloadOffset(bytes, offset, end);
  return end - payload >= 8 && bytes.readUIntBE(payload + 1, 3) === 0;
}
