import { inspect } from 'node:util';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { AppError } from '#shared/core/errors';
import { looksLikeUrl, parseCameraUrl, wireUrl } from '../../../services/ingest/core/camera-url.ts';

function failureOf(text: string): AppError {
  try {
    parseCameraUrl(text);
  } catch (error) {
    if (error instanceof AppError) return error;
    throw error;
  }
  throw new Error(`accepted ${text}`);
}

describe('parseCameraUrl', () => {
  test('splits a URL into its parts and decodes the credentials', () => {
    const camera = parseCameraUrl('rtsp://ad%20min:p%40ss%3A%25@Cam.Example:8554/a/b?c=1');
    expect(camera).toMatchObject({ scheme: 'rtsp', host: 'cam.example', port: 8554, path: '/a/b?c=1' });
    expect(camera.credentials?.reveal()).toEqual({ username: 'ad min', password: 'p@ss:%' });
    expect(camera.display).toBe('rtsp://cam.example:8554/a/b?c=1');
  });

  test('knows the default port of each scheme', () => {
    const portOf = (text: string) => parseCameraUrl(text, { allowHttp: true }).port;
    expect(['rtsp://h/', 'rtsps://h/', 'http://h/', 'https://h/'].map(portOf)).toEqual([554, 322, 80, 443]);
  });

  test('keeps port 80 of an rtsp URL', () => {
    expect(parseCameraUrl('rtsp://h:80/a').port).toBe(80);
  });

  test('takes a password with a raw @ and a stray % as it was meant', () => {
    expect(parseCameraUrl('rtsp://u:p@s%s@h/a').credentials?.reveal().password).toBe('p@s%s');
  });

  test('takes a password from elsewhere before that of the URL', () => {
    expect(parseCameraUrl('rtsp://u@h/a', { password: 'x' }).credentials?.reveal()).toEqual({
      username: 'u',
      password: 'x',
    });
  });

  test.each([
    ['rtsp://[::1]:554/a', '::1'],
    ['rtsp://2130706433/a', '127.0.0.1'],
    ['rtsp://0x7f.1/a', '127.0.0.1'],
    ['rtsp://[::ffff:127.0.0.1]/a', '::ffff:7f00:1'],
    ['rtsp://bücher.example/a', 'xn--bcher-kva.example'],
  ])('gives the host of %s in its canonical form', (text, host) => {
    expect(parseCameraUrl(text).host).toBe(host);
  });

  test.each([
    ['a line break', 'rtsp://h/a\r\nX: y'],
    ['a NUL', 'rtsp://h/a\0'],
    ['a leading dash', '-i rtsp://h/'],
    ['no scheme', 'h/a'],
    ['a file', 'file:///etc/passwd'],
    ['concat', 'concat:a|b'],
    ['another scheme', 'gopher://h/'],
    ['http while it is switched off', 'http://h/'],
    ['no host', 'rtsp:///a'],
    ['only credentials', 'rtsp://a:b@/x'],
    ['a port that is none', 'rtsp://h:99999/'],
    ['port 0', 'rtsp://h:0/'],
    ['a bad host', 'rtsp://a b/'],
    ['an IPv6 zone', 'rtsp://[fe80::1%25eth0]/'],
    ['64 KB', `rtsp://h/${'a'.repeat(65_536)}`],
  ])('refuses %s', (_what, text) => {
    expect(failureOf(text).code).toBe('SIGHTLINE_CAMERA_URL_INVALID');
  });

  test('repeats no part of a URL that it refuses', () => {
    const error = failureOf('rtsp://user:S3CR3T/canary#@host:x/');
    expect(inspect(error, { depth: 10 })).not.toContain('S3CR3T');
  });

  test('shows the password nowhere but in reveal()', () => {
    const camera = parseCameraUrl('rtsp://user:S3CR3T@h/a');
    expect(inspect(camera, { depth: 10, showHidden: true }) + JSON.stringify(camera)).not.toContain('S3CR3T');
  });

  test('either refuses any text or gives a host and port that can be connected to', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.webUrl({ withQueryParameters: true }).map((url) => url.replace(/^https?/, 'rtsp')),
        ),
        (text) => {
          try {
            const camera = parseCameraUrl(text);
            expect(camera.host).toMatch(/^[^\s/@]+$/);
            expect(camera.port).toBeGreaterThan(0);
            expect(wireUrl(camera)).toMatch(/^[\x21-\x7e]+$/);
          } catch (error) {
            expect(error).toMatchObject({ code: 'SIGHTLINE_CAMERA_URL_INVALID' });
          }
        },
      ),
      { numRuns: 40 },
    );
  });
});

describe('wireUrl', () => {
  test('leaves out credentials and the default port', () => {
    expect(wireUrl(parseCameraUrl('rtsp://a:b@h:554/x?y'))).toBe('rtsp://h/x?y');
    expect(wireUrl(parseCameraUrl('rtsp://a:b@[fd00::1]:8554/x'))).toBe('rtsp://[fd00::1]:8554/x');
  });
});

test('tells a URL from a path', () => {
  expect(['rtsp://h', 'HTTP://h', 'a/b.mp4', '/x', 'C:\\x.mp4'].map(looksLikeUrl)).toEqual([
    true,
    true,
    false,
    false,
    false,
  ]);
});
