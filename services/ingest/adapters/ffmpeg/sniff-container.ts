import { open } from 'node:fs/promises';
import { AppError } from '#shared/core/errors';

/** Enough for three packets of a transport stream, and to get past a little rubbish before the first start code. */
const headBytes = 4096;

/**
 * Names ffmpeg's demuxer of a video file by its first bytes. ffmpeg's own probing also knows playlists, concatenation scripts and images
 * that lead it to other files and hosts; a file that is none of these formats is not opened at all.
 * Throws SIGHTLINE_FILE_UNREADABLE or SIGHTLINE_FILE_NOT_VIDEO.
 */
export async function sniffContainer(path: string): Promise<string> {
  let head: Buffer;
  try {
    const file = await open(path, 'r');
    try {
      if (!(await file.stat()).isFile()) throw new AppError('SIGHTLINE_FILE_UNREADABLE', `${path} is not a file`);
      const { bytesRead, buffer } = await file.read(Buffer.alloc(headBytes), 0, headBytes, 0);
      head = buffer.subarray(0, bytesRead);
    } finally {
      await file.close();
    }
  } catch (cause) {
    if (cause instanceof AppError) throw cause;
    const isAbsent = cause instanceof Error && 'code' in cause && cause.code === 'ENOENT';
    throw new AppError('SIGHTLINE_FILE_UNREADABLE', `${path} ${isAbsent ? 'does not exist' : 'cannot be read'}`, {
      cause,
    });
  }
  if (head.length === 0) throw new AppError('SIGHTLINE_FILE_NOT_VIDEO', `${path} is empty`);
  const demuxer = demuxerOf(head);
  if (demuxer === null)
    throw new AppError('SIGHTLINE_FILE_NOT_VIDEO', `${path} is not in a video format that Sightline knows`);
  return demuxer;
}

/** Exported for its tests. */
export function demuxerOf(head: Buffer): string | null {
  const tag = (start: number, length = 4) => head.toString('latin1', start, start + length);
  if (['ftyp', 'moov', 'mdat', 'wide', 'free', 'skip', 'pnot'].includes(tag(4))) return 'mov';
  if (head.length >= 4 && head.readUInt32BE(0) === 0x1a45dfa3) return 'matroska';
  if (tag(0) === 'RIFF' && (tag(8) === 'AVI ' || tag(8) === 'AVIX')) return 'avi';
  if (tag(0, 3) === 'FLV') return 'flv';
  if (tag(0) === 'DKIF') return 'ivf';
  if (head[0] === 0xff && head[1] === 0xd8 && head[2] === 0xff) return 'mjpeg';
  if ([0, 188, 376].every((offset) => head[offset] === 0x47)) return 'mpegts';
  if (head.length >= 4 && head.readUInt32BE(0) === 0x000001ba) return 'mpeg';
  return annexB(head);
}

/** Raw H.264 or H.265 from its first NAL unit after a start code at the very beginning. */
function annexB(head: Buffer): string | null {
  let at = 0;
  while (at < 8 && head[at] === 0) at++;
  if (at < 2 || head[at] !== 1) return null;
  const first = head[at + 1];
  const second = head[at + 2];
  if (first === undefined || second === undefined || (first & 0x80) !== 0) return null;
  // H.265: VPS 32, SPS 33, PPS 34, AUD 35, SEI 39 on layer 0, so the second byte is 1.
  if ([32, 33, 34, 35, 39].includes((first >> 1) & 0x3f) && second === 1) return 'hevc';
  // H.264: SEI 6, SPS 7, PPS 8, AUD 9.
  return [6, 7, 8, 9].includes(first & 0x1f) ? 'h264' : null;
}
