import { inspect } from 'node:util';
import { describe, expect, test } from 'vitest';
import { createCameraSpec, waitsForReader } from '../../../services/ingest/core/camera-spec.ts';

describe('camera spec', () => {
  test.each(['', 'a b', '../x', 'a/b', 'ä', 'a'.repeat(65), 'a\n'])('refuses the name %j', (id) => {
    expect(() => createCameraSpec({ id, url: 'clip.mp4' })).toThrow(
      expect.objectContaining({ code: 'SIGHTLINE_CONFIG_INVALID' }),
    );
  });

  test.each([
    { fps: 0 },
    { fps: Number.NaN },
    { fps: 1000 },
    { untilEnd: true, loop: true },
    { crop: { x: 0.5, y: 0, width: 0.6, height: 1 } },
    { crop: { x: 0, y: 0, width: 0, height: 1 } },
  ])('refuses %j', (setting) => {
    expect(() => createCameraSpec({ id: 'a', url: 'clip.mp4', ...setting })).toThrow(
      expect.objectContaining({ code: 'SIGHTLINE_CONFIG_INVALID' }),
    );
  });

  test.each(['rtsp:/u:pw@h/x', ' rtsp://u:pw@h/x', 'rtsp:\\\\u:pw@h', 'u:pw@h/x', '://u:pw@h'])(
    'refuses %j, which is a URL with a slip in it, and does not repeat it',
    (url) => {
      const making = (): unknown => createCameraSpec({ id: 'door', url });
      expect(making).toThrow(expect.objectContaining({ code: 'SIGHTLINE_CAMERA_URL_INVALID' }));
      expect(making).toThrow(/^camera door: (?!.*pw)/);
    },
  );

  test.each(['clip.mp4', './u:pw@h.mp4', '/data/2026-11-23T07:00@door.mp4', 'rtsp.mp4', 'a:b.mp4'])(
    'takes %j as a file',
    (url) => {
      expect(createCameraSpec({ id: 'a', url }).source).toEqual({ kind: 'file', path: url });
    },
  );

  test('shows no password, however it is printed', () => {
    const spec = createCameraSpec({ id: 'a', url: 'rtsp://user:canary-pw@camera.example/1' });
    for (const text of [JSON.stringify(spec), inspect(spec, { depth: 10, showHidden: true })]) {
      expect(text).not.toContain('canary-pw');
    }
  });

  test('lets a file wait for its reader and a camera not', () => {
    expect(waitsForReader(createCameraSpec({ id: 'a', url: 'clip.mp4', untilEnd: true }))).toBe(true);
    expect(waitsForReader(createCameraSpec({ id: 'a', url: 'clip.mp4', realtime: false }))).toBe(true);
    expect(waitsForReader(createCameraSpec({ id: 'a', url: 'clip.mp4' }))).toBe(false);
    expect(waitsForReader(createCameraSpec({ id: 'a', url: 'rtsp://camera.example', untilEnd: true }))).toBe(false);
  });
});
