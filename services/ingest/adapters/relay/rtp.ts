/** Reads what we need of RTP and RTCP packets (RFC 3550) where they lie; `offset` is the packet's first byte, `end` one past its last. */

export const rtpHeaderBytes = 12;
const senderReportType = 200;
const goodbyeType = 203;
const senderReportBytes = 28;
/** Seconds from 1900 (NTP) to 1970. */
const ntpEpochOffsetS = 2_208_988_800;
/** NTP era 1 starts on 2036-02-07: a seconds value in the lower half of the range is of that era. */
const ntpEraS = 2 ** 32;

export function isRtp(bytes: Buffer, offset: number, end: number): boolean {
  return end - offset >= rtpHeaderBytes && (bytes[offset] ?? 0) >> 6 === 2;
}

export function rtpPayloadType(bytes: Buffer, offset: number): number {
  return (bytes[offset + 1] ?? 0) & 0x7f;
}

export function rtpSequence(bytes: Buffer, offset: number): number {
  return bytes.readUInt16BE(offset + 2);
}

export function rtpTimestamp(bytes: Buffer, offset: number): number {
  return bytes.readUInt32BE(offset + 4);
}

/** Where the payload starts, behind contributing sources and header extension. */
export function rtpPayloadOffset(bytes: Buffer, offset: number, end: number): number {
  const first = bytes[offset] ?? 0;
  let position = offset + rtpHeaderBytes + (first & 0x0f) * 4;
  if ((first & 0x10) !== 0 && position + 4 <= end) position += 4 + bytes.readUInt16BE(position + 2) * 4;
  return Math.min(position, end);
}

export interface RtcpSummary {
  readonly senderReport: { readonly ntpUs: number; readonly rtpTimestamp: number } | null;
  /** The sender says that it stops. */
  readonly isGoodbye: boolean;
}

/** Walks a compound RTCP packet. Lengths that lie end the walk. */
export function readRtcp(bytes: Buffer, offset: number, end: number): RtcpSummary {
  let senderReport: RtcpSummary['senderReport'] = null;
  let isGoodbye = false;
  let position = offset;
  while (end - position >= 4 && (bytes[position] ?? 0) >> 6 === 2) {
    const type = bytes[position + 1];
    const packetEnd = position + (bytes.readUInt16BE(position + 2) + 1) * 4;
    if (packetEnd > end) break;
    if (type === senderReportType && packetEnd - position >= senderReportBytes) {
      const ntpUs = ntpToUnixUs(bytes.readUInt32BE(position + 8), bytes.readUInt32BE(position + 12));
      senderReport = { ntpUs, rtpTimestamp: bytes.readUInt32BE(position + 16) };
    }
    if (type === goodbyeType) isGoodbye = true;
    position = packetEnd;
  }
  return { senderReport, isGoodbye };
}

/** 64-bit NTP time as microseconds since 1970. A clock that starts at 0 (no battery) is taken as 1900, not as 2036. */
export function ntpToUnixUs(seconds: number, fraction: number): number {
  const isEra1 = seconds < ntpEraS / 2 && seconds > 365 * 86_400;
  const unixS = seconds - ntpEpochOffsetS + (isEra1 ? ntpEraS : 0);
  return unixS * 1_000_000 + Math.round((fraction / ntpEraS) * 1_000_000);
}
