import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { StderrParser, type FrameNote } from '../../../services/ingest/adapters/ffmpeg/stderr-parser.ts';

const from5 = `[info] Input #0, mov,mp4,m4a,3gp,3g2,mj2, from 'file:/clip.mp4':
[info]   Metadata:
[info]     creation_time   : 2018-04-19T22:46:00.000000Z
[info]   Duration: 00:00:30.21, start: 0.000000, bitrate: 744 kb/s
[info]   Stream #0:0[0x1](eng): Video: h264 (Baseline) (avc1 / 0x31637661), yuv420p(tv, smpte170m, progressive), 768x432, 614 kb/s, 12.50 fps, 12.50 tbr, 25k tbn (default)
[aac @ 0x5556fafa8cc0] [error] Codec (aac) not on whitelist 'h264,hevc,mjpeg'
[info] Stream mapping:
[Parsed_showinfo_2 @ 0x1] [info] config in time_base: 1/25000, frame_rate: 25/2
[Parsed_showinfo_2 @ 0x1] [info] n:   0 pts:      0 pts_time:0       pos:    19838 fmt:yuv420p sar:0/1 s:768x432 i:P iskey:1 type:I 
[Parsed_showinfo_2 @ 0x1] [info] color_range:tv color_space:smpte170m color_primaries:smpte170m color_trc:smpte170m
[info]   Stream #0:0(eng): Video: rawvideo (G3[0][8] / 0x8003347), gbrp, 416x234, q=2-31, 29203 kb/s, 12.50 fps
[warning] clip.h264: corrupt decoded frame in stream 0
[error] Error while decoding stream #0:0: Invalid data found when processing input
[Parsed_showinfo_2 @ 0x1] [info] n:   1 pts:2500001 pts_time:100     pos:    68126 fmt:yuv420p sar:0/1 s:768x432 i:P iskey:0 type:P 
`;
const from9 = `[Parsed_showinfo_2 @ 0x7f] [info] config in time_base: 1/90000, frame_rate: 0/1
[vist#0:0/h264 @ 0x1] [dec:h264 @ 0x2] [warning] corrupt decoded frame
[vist#0:0/h264 @ 0x1] [dec:h264 @ 0x2] [error] Error submitting packet to decoder: Invalid data found when processing input
[Parsed_showinfo_2 @ 0x7f] [info] n:   0 pts:   NOPTS pts_time:NOPTS   duration:   2000 duration_time:0.08    fmt:yuv420p cl:left sar:0/1 s:641x359 i:P iskey:1 type:I 
[Parsed_showinfo_2 @ 0x7f] [info] n:   1 pts:  -90000 pts_time:-1      duration:   2000 duration_time:0.08    fmt:yuv420p cl:left sar:0/1 s:641x359 i:P iskey:1 type:I 
`;

function notesOf(parser: StderrParser): FrameNote[] {
  const notes: FrameNote[] = [];
  for (let note = parser.takeNote(); note !== undefined; note = parser.takeNote()) notes.push(note);
  return notes;
}

describe('ffmpeg message parser', () => {
  test('reads times exactly where ffmpeg prints only six digits of seconds', () => {
    const parser = new StderrParser(() => undefined);
    parser.feed(from5);
    expect(notesOf(parser)).toEqual([
      { ptsUs: 0, widthPx: 768, heightPx: 432 },
      { ptsUs: 100_000_040, widthPx: 768, heightPx: 432 },
    ]);
  });

  test('takes the facts from the input and not from the output', () => {
    const parser = new StderrParser(() => undefined);
    parser.feed(from5);
    expect(parser.input).toEqual({
      codec: 'h264',
      widthPx: 768,
      heightPx: 432,
      fps: 12.5,
      durationMs: 30_210,
      creationTimeUs: Date.UTC(2018, 3, 19, 22, 46) * 1000,
    });
  });

  test('counts each damaged picture once, in the words of version 5 and of version 9', () => {
    for (const text of [from5, from9]) {
      const parser = new StderrParser(() => undefined);
      parser.feed(text);
      expect(parser.takeDamaged()).toBe(2);
      expect(parser.takeDamaged()).toBe(0);
    }
  });

  test('knows pictures without a time and before zero', () => {
    const parser = new StderrParser(() => undefined);
    parser.feed(from9);
    expect(notesOf(parser).map(({ ptsUs }) => ptsUs)).toEqual([null, -1_000_000]);
  });

  test('does not take a refused audio codec for a refused video', () => {
    const parser = new StderrParser(() => undefined);
    parser.feed(from5);
    expect(parser.trouble.codecRefused).toBe(false);
    parser.feed("[h264 @ 0x1] [error] Codec (h264) not on whitelist 'mjpeg'\n");
    expect(parser.trouble.codecRefused).toBe(true);
  });

  test('reads the same wherever the text is cut', () => {
    const whole = new StderrParser(() => undefined);
    whole.feed(from5);
    const expected = notesOf(whole);
    fc.assert(
      fc.property(fc.array(fc.nat(from5.length), { maxLength: 20 }), (cuts) => {
        const parser = new StderrParser(() => undefined);
        const bounds = [0, ...cuts.sort((a, b) => a - b), from5.length];
        for (let index = 1; index < bounds.length; index++) parser.feed(from5.slice(bounds[index - 1], bounds[index]));
        expect(notesOf(parser)).toEqual(expected);
      }),
    );
  });
});
