import { describe, expect, it } from 'vitest';

import type { DoctorRow } from '../../../cli/doctor/checks.ts';
import { cgroupProcessors, cpuFeatures } from '../../../cli/doctor/cpu-features.ts';
import { doctorText } from '../../../cli/doctor/doctor-text.ts';
import { missingCapabilities, parseFfmpegVersion } from '../../../cli/doctor/ffmpeg-capabilities.ts';

const plain = { green: String, yellow: String, red: String, dim: String };

describe('parseFfmpegVersion', () => {
  it.each([
    ['ffmpeg version 5.1.9-0+deb12u1 Copyright (c) 2000', '5.1.9-0+deb12u1', 5],
    ['ffmpeg version n7.1 Copyright', 'n7.1', 7],
    ['ffprobe version 8.0 Copyright', '8.0', 8],
    ['ffmpeg version N-118448-g43be8d0728 Copyright', 'N-118448-g43be8d0728', undefined],
    ['something else', 'unknown', undefined],
  ])('reads %j', (text, shown, major) => {
    expect(parseFfmpegVersion(text)).toEqual({ shown, major });
  });
});

describe('missingCapabilities', () => {
  it('finds a demuxer among several names of a line', () => {
    const listing =
      ' D  mov,mp4,m4a,3gp,3g2,mj2 QuickTime / MOV\n D  rtsp   RTSP input\n D  matroska,webm   Matroska / WebM\n';
    expect(missingCapabilities('demuxers', listing)).toEqual(['sdp', 'avi', 'mpegts', 'mpjpeg', 'hls']);
  });

  it('reads filters and protocols in the form of each', () => {
    expect(
      missingCapabilities('filters', ' ... fps   V->V   Force constant framerate.\n ..C scale V->V x\n'),
    ).not.toContain('scale');
    expect(missingCapabilities('protocols', 'Input:\n  file\n  tcp\n  rtp\n  pipe\n')).toEqual(['udp']);
  });
});

describe('cpuFeatures', () => {
  it('names what a processor has', () => {
    expect(cpuFeatures('processor : 0\nflags\t\t: fpu avx2 avx512f avx512_vnni\n')).toEqual([
      'AVX2',
      'AVX-512',
      'VNNI',
    ]);
    expect(cpuFeatures('Features : fp asimd asimddp')).toEqual(['NEON', 'dot product']);
    expect(cpuFeatures('')).toEqual([]);
  });
});

describe('cgroupProcessors', () => {
  it('reads a limit as processors, and none as undefined', () => {
    expect(cgroupProcessors('150000 100000\n')).toBe(1.5);
    expect(cgroupProcessors('max 100000\n')).toBeUndefined();
    expect(cgroupProcessors('')).toBeUndefined();
  });
});

describe('doctorText', () => {
  const rows: DoctorRow[] = [
    { check: 'node', state: 'ok', found: '24.1.0' },
    { check: 'ffmpeg', state: 'missing', found: 'ffmpeg cannot be run', mend: 'sudo apt-get install -y ffmpeg' },
  ];

  it('puts what mends a row below it and closes with how it stands', () => {
    expect(doctorText(rows, plain).split('\n')).toEqual([
      'ok       node    24.1.0',
      'missing  ffmpeg  ffmpeg cannot be run',
      '                 mend: sudo apt-get install -y ffmpeg',
      '',
      '1 missing',
      '',
    ]);
  });

  it('says ready where nothing is missing', () => {
    expect(doctorText(rows.slice(0, 1), plain)).toContain('\nready\n');
  });
});
