import { describe, expect, test } from 'vitest';
import { describeForDecoder, findVideoTrack } from '../../../../services/ingest/adapters/relay/sdp.ts';

const base = 'rtsp://h/live';

function sdp(...lines: string[]): string {
  return ['v=0', 'o=- 1 1 IN IP4 10.0.0.1', 's=x', 't=0 0', ...lines, ''].join('\r\n');
}

const h264 = [
  'm=video 0 RTP/AVP 96',
  'a=rtpmap:96 H264/90000',
  'a=fmtp:96 packetization-mode=1;sprop-parameter-sets=Z0IA,aM4=',
  'a=framerate:12.5',
  'a=framesize:96 768-432',
  'a=control:track1',
];

describe('findVideoTrack', () => {
  test('reads codec, rate, size and clock of the video', () => {
    expect(findVideoTrack(sdp(...h264), base)).toMatchObject({
      codec: 'h264',
      payloadType: 96,
      clockRateHz: 90_000,
      declaredFps: 12.5,
      widthPx: 768,
      heightPx: 432,
      controlUrl: 'rtsp://h/live/track1',
      aggregateUrl: 'rtsp://h/live',
    });
  });

  test('passes over audio, metadata and codecs that it does not know', () => {
    const track = findVideoTrack(
      sdp(
        'm=audio 0 RTP/AVP 0',
        'a=control:a',
        'm=video 0 RTP/AVP 98',
        'a=rtpmap:98 VP8/90000',
        'a=control:v8',
        ...h264,
      ),
      base,
    );
    expect(track.controlUrl).toBe('rtsp://h/live/track1');
  });

  test.each([
    ['*', 'rtsp://h/live'],
    ['track1', 'rtsp://h/live/track1'],
    ['rtsp://10.0.0.1/x/track1', 'rtsp://10.0.0.1/x/track1'],
  ])('resolves the control %s', (control, url) => {
    const track = findVideoTrack(sdp('m=video 0 RTP/AVP 96', 'a=rtpmap:96 H265/90000', `a=control:${control}`), base);
    expect(track).toMatchObject({ codec: 'hevc', controlUrl: url });
  });

  test('appends the control to a base with a query and to one with a slash as clients do', () => {
    const controlUrlFor = (from: string) => findVideoTrack(sdp(...h264), from).controlUrl;
    expect(controlUrlFor('rtsp://h/live/')).toBe('rtsp://h/live/track1');
    expect(controlUrlFor('rtsp://h/live?a=b')).toBe('rtsp://h/live?a=b/track1');
  });

  test('knows JPEG by its static payload type', () => {
    expect(findVideoTrack(sdp('m=video 0 RTP/AVP 26'), base)).toMatchObject({ codec: 'mjpeg', clockRateHz: 90_000 });
  });

  test('says that there is no video', () => {
    expect(() => findVideoTrack(sdp('m=audio 0 RTP/AVP 0'), base)).toThrow(
      expect.objectContaining({ code: 'SIGHTLINE_CAMERA_NO_VIDEO' }),
    );
    expect(() => findVideoTrack('', base)).toThrow(expect.objectContaining({ code: 'SIGHTLINE_CAMERA_NO_VIDEO' }));
  });

  test('names the codec that it cannot read', () => {
    expect(() => findVideoTrack(sdp('m=video 0 RTP/AVP 96', 'a=rtpmap:96 MP4V-ES/90000'), base)).toThrow(/MP4V-ES/);
    expect(() => findVideoTrack(sdp('m=video 0 RTP/SAVP 96', 'a=rtpmap:96 H264/90000'), base)).toThrow(/SRTP/);
  });

  test('refuses a control that would break the request line', () => {
    const lines = ['m=video 0 RTP/AVP 96', 'a=rtpmap:96 H264/90000', 'a=control:a b'];
    expect(() => findVideoTrack(sdp(...lines), base)).toThrow(/control URL/);
  });
});

test('describes nothing but the video, cleaned, to the decoder', () => {
  const lines = [...h264, 'a=x-secret:p', 'm=audio 0 RTP/AVP 0', 'a=rtpmap:0 PCMU/8000'];
  const track = findVideoTrack(
    sdp('a=range:npt=0-10', ...lines).replace('packetization', 'pa\u0007cketi\u00e4zation'),
    base,
  );
  expect(describeForDecoder(track, 'video').split('\r\n').slice(5)).toEqual([
    'm=video 0 RTP/AVP 96',
    'a=rtpmap:96 H264/90000',
    'a=fmtp:96 packetization-mode=1;sprop-parameter-sets=Z0IA,aM4=',
    'a=framerate:12.5',
    'a=framesize:96 768-432',
    'a=control:video',
    '',
  ]);
});
