import { describe, expect, test } from 'vitest';
import {
  ffmpegArguments,
  filterGraph,
  type FfmpegArgumentsOptions,
} from '../../../services/ingest/adapters/ffmpeg/ffmpeg-arguments.ts';
import { dialectOf, parseFfmpegVersion } from '../../../services/ingest/adapters/ffmpeg/ffmpeg-version.ts';
import { demuxerOf } from '../../../services/ingest/adapters/ffmpeg/sniff-container.ts';

const file: FfmpegArgumentsOptions = {
  input: { kind: 'file', path: '/clips/a,b:c.mp4', demuxer: 'mov', realtime: false, loop: false },
  fps: 5,
  crop: null,
  masks: [],
  geometry: { widthPx: 416, heightPx: 416, resize: { mode: 'stretch' } },
  dialect: dialectOf({ major: 5, minor: 1 }),
};

function valueOf(args: readonly string[], option: string): string | undefined {
  const at = args.indexOf(option);
  return at < 0 ? undefined : args[at + 1];
}

describe('ffmpeg arguments', () => {
  test('write pictures by one thread, for more of them hold pictures back', () => {
    const args = ffmpegArguments(file);
    expect(args.slice(args.indexOf('-i') + 2).join(' ')).toContain('-threads 1');
  });

  test('hold a file to its demuxer and to the file protocol', () => {
    const args = ffmpegArguments(file);
    expect(valueOf(args, '-f')).toBe('mov');
    expect(valueOf(args, '-protocol_whitelist')).toBe('file');
    expect(valueOf(args, '-i')).toBe('file:/clips/a,b:c.mp4');
    expect(args).not.toContain('-re');
    expect(args).not.toContain('-stream_loop');
  });

  test('play a file at its own speed and again where that is asked for', () => {
    const args = ffmpegArguments({
      ...file,
      input: { kind: 'file', path: '/a.mp4', demuxer: 'mov', realtime: true, loop: true },
    });
    expect(args.indexOf('-re')).toBeLessThan(args.indexOf('-i'));
    expect(valueOf(args, '-stream_loop')).toBe('-1');
  });

  test('hold a camera to RTSP over TCP, to video, and to the codecs of cameras', () => {
    const args = ffmpegArguments({
      ...file,
      input: { kind: 'rtsp', url: 'rtsp://127.0.0.1:1234/x', timeoutMs: 20_000 },
    });
    expect(valueOf(args, '-f')).toBe('rtsp');
    expect(valueOf(args, '-rtsp_transport')).toBe('tcp');
    expect(valueOf(args, '-allowed_media_types')).toBe('video');
    expect(valueOf(args, '-protocol_whitelist')).toBe('rtsp,rtp,tcp');
    expect(valueOf(args, '-codec_whitelist')).toBe('h264,hevc,mjpeg');
    expect(valueOf(args, '-timeout')).toBe('20000000');
    expect(args).toContain('-copyts');
  });

  test('use no option that the version does not know', () => {
    expect(dialectOf({ major: 4, minor: 4 })).toEqual({ frameSyncOption: '-vsync', rtspTimeoutOption: '-stimeout' });
    expect(dialectOf({ major: 5, minor: 0 })).toEqual({ frameSyncOption: '-vsync', rtspTimeoutOption: '-timeout' });
    expect(dialectOf({ major: 9, minor: 0 })).toEqual({ frameSyncOption: '-fps_mode', rtspTimeoutOption: '-timeout' });
    expect(valueOf(ffmpegArguments({ ...file, dialect: dialectOf({ major: 4, minor: 4 }) }), '-vsync')).toBe('0');
  });

  test('sample on the grid, note the size before cutting, and scale last', () => {
    const graph = filterGraph({ ...file, crop: { x: 0.25, y: 0, width: 0.5, height: 1 } });
    const names = graph
      .replaceAll(/'[^']*'/g, '')
      .split(',')
      .map((filter) => /^\w+/.exec(filter)?.[0]);
    expect(names).toEqual(['select', 'sidedata', 'showinfo', 'crop', 'scale', 'format']);
  });
});

describe('ffmpeg version', () => {
  test.each([
    ['ffmpeg version 5.1.9-0+deb12u1 Copyright (c) 2000-2026', 5, 1],
    ['ffmpeg version n9.0.2-17-g2a571b6068-20260930 Copyright', 9, 0],
    ['ffmpeg version 7.0.2-static https://johnvansickle.com', 7, 0],
    ['ffmpeg version N-109468-gd39b34123d Copyright', 99, 0],
  ])('reads %j', (line, major, minor) => {
    expect(parseFfmpegVersion(line)).toMatchObject({ major, minor });
  });

  test('is null for what is not ffmpeg', () => {
    expect(parseFfmpegVersion('GNU bash, version 5.2')).toBeNull();
  });
});

describe('container by first bytes', () => {
  test.each([
    ['mov', '\0\0\0\x20ftypmp42'],
    ['matroska', '\x1a\x45\xdf\xa3'],
    ['avi', 'RIFF\0\0\0\0AVI LIST'],
    ['flv', 'FLV\x01'],
    ['mjpeg', '\xff\xd8\xff\xe0'],
    ['h264', '\0\0\0\x01\x67\x42'],
    ['hevc', '\0\0\0\x01\x40\x01\x0c'],
    [null, '#EXTM3U'],
    [null, 'RIFF\0\0\0\0WAVE'],
    [null, 'G'],
    [null, '\0\0\0\x01'],
  ])('is %j for %j', (demuxer, bytes) => {
    expect(demuxerOf(Buffer.from(bytes, 'latin1'))).toBe(demuxer);
  });
});
