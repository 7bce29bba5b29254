import type { ReasonCode } from '#schemas';
import type { Clock } from '#shared/core/clock';
import type { AppError } from '#shared/core/errors';
import type { Logger } from '#shared/core/logger';
import type { AddressPolicy } from '../../core/address-policy.ts';
import type { CaptureClock } from '../../core/capture-clock.ts';

export type CameraTransport = 'tcp' | 'udp';
export type CameraCodec = 'h264' | 'hevc' | 'mjpeg';
export type AuthScheme = 'none' | 'basic' | 'digest';
export type RelayStepName = 'dns' | 'tcp' | 'tls' | 'auth' | 'describe' | 'setup';

/** A step of connecting that succeeded; the one that failed is the error. */
export interface RelayStep {
  readonly step: RelayStepName;
  readonly durationMs: number;
  /** For people: the address, the TLS version, the codec. */
  readonly detail: string;
}

export interface RelayOptions {
  /** How RTP comes from the camera. Default tcp. For http(s) it has no meaning. */
  readonly transport?: CameraTransport;
  readonly policy?: AddressPolicy;
  /** Accept a certificate that cannot be verified: cameras make their own. Default false. */
  readonly tlsInsecure?: boolean;
  /** Certificate authorities (PEM) to trust besides the usual ones. */
  readonly tlsCa?: string;
  /** For name resolution, connection and TLS handshake, each. Default 3000. */
  readonly connectTimeoutMs?: number;
  /** For the answer to one request. Default 5000. */
  readonly requestTimeoutMs?: number;
  /** Without a packet from the camera for this long the relay ends as STALLED. Default 10000. */
  readonly silenceTimeoutMs?: number;
  /** How long the local side waits for its one consumer. Default 15000. */
  readonly consumerTimeoutMs?: number;
  readonly onStep?: (step: RelayStep) => void;
  /** Look at the packets for pictures and key frames (a probe does). Default false. */
  readonly observePictures?: boolean;
}

export interface RelayContext {
  readonly logger: Logger;
  readonly clock: Clock;
  /** Ends the relay, also while it is being opened. */
  readonly signal?: AbortSignal;
}

/** What the camera said of itself before it sent video. */
export interface CameraFacts {
  /** Null for http(s), where only the decoder finds out. */
  readonly codec: CameraCodec | null;
  readonly declaredFps: number | null;
  readonly widthPx: number | null;
  readonly heightPx: number | null;
  /** The Server header, shortened to printable characters. */
  readonly serverName: string | null;
  readonly transport: CameraTransport | 'http';
  readonly isEncrypted: boolean;
  readonly authScheme: AuthScheme;
  /** The pinned address. */
  readonly remoteAddress: string;
  readonly redirects: number;
}

/** Counters since the relay was opened. Plain numbers, cheap to read. */
export interface RelayStats {
  readonly bytes: number;
  readonly packets: number;
  /** By gaps in the RTP sequence that nothing filled later. */
  readonly packetsLost: number;
  /** Packets that came in another order than sent (UDP), put right. */
  readonly packetsReordered: number;
  /** Bytes thrown away to find the next packet. */
  readonly bytesSkipped: number;
  /** packetsLost over packets expected; 0 where nothing came. */
  readonly packetLossRatio: number;
  readonly senderReports: number;
}

/** Pictures as the packets showed them. */
export interface PictureFigures {
  readonly pictures: number;
  readonly keyframes: number;
  /** From the timestamps of the camera; null before two pictures. */
  readonly measuredFps: number | null;
  /** Mean distance; null before two key frames. */
  readonly keyframeIntervalMs: number | null;
}

/** How a relay ended. */
export interface RelayEnd {
  readonly reason: ReasonCode;
  /** In words, without a secret. */
  readonly text: string;
  /** Set where it is a failure. END_OF_STREAM and STOPPED are none. */
  readonly error: AppError | null;
}

export interface CameraRelay {
  /** For one consumer, once. An rtsp URL wants `-f rtsp -rtsp_transport tcp -allowed_media_types video`, an http one nothing. */
  readonly localUrl: string;
  readonly facts: CameraFacts;
  readonly captureClock: CaptureClock;
  stats(): RelayStats;
  /** Null unless asked for by `observePictures`, and for http(s). */
  pictures(): PictureFigures | null;
  /** Never rejects. */
  readonly closed: Promise<RelayEnd>;
  /** Takes leave of the camera (TEARDOWN, at most half a second) and frees everything. May be called twice. */
  close(): Promise<void>;
}
