/** What Sightline asks ffmpeg for. A build without one of these (distributions and vendors leave parts out) fails only when a camera needs it. */
export const neededCapabilities = {
  demuxers: ['rtsp', 'sdp', 'mov', 'avi', 'matroska', 'mpegts', 'mpjpeg', 'hls'],
  protocols: ['file', 'pipe', 'tcp', 'udp', 'rtp'],
  decoders: ['h264', 'hevc', 'mjpeg'],
  filters: ['select', 'sidedata', 'showinfo', 'crop', 'scale', 'format', 'split', 'extractplanes', 'drawbox'],
} as const;

export type CapabilityKind = keyof typeof neededCapabilities;

/** `ffmpeg version 5.1.9-0+deb12u1 Copyright …` → 5.1; undefined where it says no number (a build from a branch). */
export function parseFfmpegVersion(text: string): { readonly shown: string; readonly major: number | undefined } {
  const shown = /^ff\w+ version (\S+)/.exec(text)?.[1] ?? 'unknown';
  const major = /^n?(\d+)\./.exec(shown)?.[1];
  return { shown, major: major === undefined ? undefined : Number(major) };
}

/** Names of a kind that `ffmpeg -<kind>` does not list. */
export function missingCapabilities(kind: CapabilityKind, listing: string): string[] {
  const names = new Set(listing.split('\n').flatMap((line) => namesOf(kind, line)));
  return neededCapabilities[kind].filter((needed) => !names.has(needed));
}

/** The names in one line of the listing; a demuxer may have several: `mov,mp4,m4a`. */
function namesOf(kind: CapabilityKind, line: string): string[] {
  if (kind === 'protocols') return [line.trim()];
  const name = /^\s*[A-Z.|]+\s+([^\s=]+)\s/.exec(`${line} `)?.[1];
  return name === undefined ? [] : name.split(',');
}
