import { cameraError } from '../../core/camera-failure.ts';
import type { CameraCodec } from './relay-types.ts';

/** The video of a session description (RFC 4566) as far as it is needed to set it up and to serve it on. */
export interface VideoTrack {
  readonly codec: CameraCodec;
  readonly payloadType: number;
  readonly clockRateHz: number;
  /** URL for SETUP. */
  readonly controlUrl: string;
  /** URL for PLAY and TEARDOWN of the whole session. */
  readonly aggregateUrl: string;
  readonly declaredFps: number | null;
  readonly widthPx: number | null;
  readonly heightPx: number | null;
  /** Values of `rtpmap`, `fmtp`, … lines that a decoder wants, cleaned. */
  readonly decoderLines: readonly string[];
}

interface MediaSection {
  readonly kind: string;
  readonly profile: string;
  readonly payloadTypes: readonly number[];
  readonly attributes: readonly (readonly [name: string, value: string])[];
}

const jpegPayloadType = 26;
const videoClockRateHz = 90_000;
const maxLines = 2000;
const codecNames: Readonly<Record<string, CameraCodec>> = { h264: 'h264', h265: 'hevc', hevc: 'hevc', jpeg: 'mjpeg' };

/** Finds the video that can be read. Throws SIGHTLINE_CAMERA_NO_VIDEO or SIGHTLINE_CAMERA_CODEC_UNSUPPORTED. */
export function findVideoTrack(sdp: string, baseUrl: string): VideoTrack {
  const { session, media } = parseSections(sdp);
  const videos = media.filter((section) => section.kind === 'video');
  if (videos.length === 0) throw cameraError('SIGHTLINE_CAMERA_NO_VIDEO', 'the stream of the camera has no video');
  const others = new Set<string>();
  for (const section of videos) {
    if (/SAVP/i.test(section.profile)) {
      others.add('SRTP');
      continue;
    }
    for (const payloadType of section.payloadTypes) {
      const rtpmap = parseRtpmap(section, payloadType);
      const codec = rtpmap === undefined ? undefined : codecNames[rtpmap.encoding.toLowerCase()];
      if (rtpmap === undefined || codec === undefined) {
        others.add(rtpmap?.encoding.slice(0, 20) ?? `payload type ${payloadType}`);
        continue;
      }
      const size = declaredSize(section, payloadType);
      return {
        codec,
        payloadType,
        clockRateHz: rtpmap.clockRateHz,
        controlUrl: resolveControl(attribute(section.attributes, 'control'), baseUrl),
        aggregateUrl: resolveControl(attribute(session, 'control'), baseUrl),
        declaredFps: declaredFps(section),
        widthPx: size?.widthPx ?? null,
        heightPx: size?.heightPx ?? null,
        decoderLines: decoderLines(section, payloadType, rtpmap.line),
      };
    }
  }
  throw cameraError(
    'SIGHTLINE_CAMERA_CODEC_UNSUPPORTED',
    `the camera sends ${clean([...others].join(', ')).slice(0, 80)}, not H.264, H.265 or MJPEG`,
  );
}

/** A session description of our own with nothing in it but the video. */
export function describeForDecoder(track: VideoTrack, controlName: string): string {
  return [
    'v=0',
    'o=- 0 0 IN IP4 127.0.0.1',
    's=sightline',
    'c=IN IP4 127.0.0.1',
    't=0 0',
    `m=video 0 RTP/AVP ${track.payloadType}`,
    ...track.decoderLines.map((line) => `a=${line}`),
    `a=control:${controlName}`,
    '',
  ].join('\r\n');
}

function parseSections(sdp: string): { session: MediaSection['attributes']; media: MediaSection[] } {
  const session: [string, string][] = [];
  const media: MediaSection[] = [];
  let attributes = session;
  for (const line of sdp.split(/\r\n|\n|\r/, maxLines)) {
    const value = line.slice(2).trim();
    if (line.startsWith('m=')) {
      const [kind = '', , profile = '', ...formats] = value.split(/\s+/);
      attributes = [];
      const payloadTypes = formats.map(Number).filter((type) => Number.isInteger(type) && type >= 0 && type <= 127);
      media.push({ kind: kind.toLowerCase(), profile, payloadTypes, attributes });
    } else if (line.startsWith('a=')) {
      const colon = value.indexOf(':');
      if (colon < 0) attributes.push([value.toLowerCase(), '']);
      else attributes.push([value.slice(0, colon).toLowerCase(), value.slice(colon + 1).trim()]);
    }
  }
  return { session, media };
}

function parseRtpmap(
  section: MediaSection,
  payloadType: number,
): { readonly encoding: string; readonly clockRateHz: number; readonly line: string | undefined } | undefined {
  for (const [name, value] of section.attributes) {
    const match = name === 'rtpmap' ? /^(\d{1,3})\s+([\w.-]{1,40})\/(\d{1,9})/.exec(value) : null;
    if (match === null || Number(match[1]) !== payloadType) continue;
    const clockRateHz = Number(match[3]);
    if (clockRateHz === 0) continue;
    const encoding = match[2] ?? '';
    return { encoding, clockRateHz, line: `rtpmap:${payloadType} ${encoding}/${clockRateHz}` };
  }
  return payloadType === jpegPayloadType
    ? { encoding: 'JPEG', clockRateHz: videoClockRateHz, line: undefined }
    : undefined;
}

function attribute(attributes: MediaSection['attributes'], name: string): string | undefined {
  return attributes.find(([candidate]) => candidate === name)?.[1];
}

/**
 * Appends rather than resolves: RFC 2326 C.1.1 asks for URL resolution, but cameras and every client in use take the control name as one
 * more segment, whether or not the base ends in a slash or holds a query.
 */
function resolveControl(control: string | undefined, baseUrl: string): string {
  if (control === undefined || control === '' || control === '*') return baseUrl;
  // A blank or control character would break the request line.
  if (!/^[\x21-\x7e]{1,1024}$/.test(control))
    throw cameraError('SIGHTLINE_CAMERA_PROTOCOL', 'a control URL is malformed');
  if (/^rtsps?:\/\//i.test(control)) return control;
  return `${baseUrl}${baseUrl.endsWith('/') ? '' : '/'}${control}`;
}

function declaredFps(section: MediaSection): number | null {
  const value = attribute(section.attributes, 'framerate') ?? attribute(section.attributes, 'x-framerate');
  const fps = Number(/\d+(\.\d+)?$/.exec(value ?? '')?.[0]);
  return fps > 0 && fps <= 1000 ? fps : null;
}

function declaredSize(section: MediaSection, payloadType: number): { widthPx: number; heightPx: number } | undefined {
  for (const [name, value] of section.attributes) {
    const match =
      name === 'framesize' && value.startsWith(`${payloadType} `)
        ? /\s(\d{1,5})-(\d{1,5})$/.exec(value)
        : name === 'x-dimensions'
          ? /^(\d{1,5})\s*,\s*(\d{1,5})/.exec(value)
          : null;
    const widthPx = Number(match?.[1] ?? 0);
    const heightPx = Number(match?.[2] ?? 0);
    if (widthPx > 0 && heightPx > 0) return { widthPx, heightPx };
  }
  return undefined;
}

function decoderLines(section: MediaSection, payloadType: number, rtpmapLine: string | undefined): string[] {
  const lines = rtpmapLine === undefined ? [] : [rtpmapLine];
  for (const [name, value] of section.attributes) {
    const isOfPayload = value.startsWith(`${payloadType} `);
    if ((name === 'fmtp' || name === 'framesize') && isOfPayload) lines.push(`${name}:${clean(value)}`);
    if (name === 'framerate' || name === 'x-framerate' || name === 'x-dimensions')
      lines.push(`${name}:${clean(value)}`);
  }
  return lines;
}

function clean(value: string): string {
  return value.replace(/[^\x20-\x7e]/g, '').slice(0, 8192);
}
