import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { redactUrl, scrubSecrets } from '#shared/core/redact';

const mark = 'S3CR3T';
/** Anything that a person can put into a URL without a blank, with a mark in it that must not be seen again. */
const secret = fc.string({ maxLength: 20 }).map((text) => `${text.replace(/\s/g, '')}${mark}`);

describe('redactUrl', () => {
  test('takes user and password out and leaves the rest', () => {
    expect(redactUrl('rtsp://admin:12345@10.0.0.5:554/Streaming/Channels/101?x=1')).toBe(
      'rtsp://***@10.0.0.5:554/Streaming/Channels/101?x=1',
    );
  });

  test('leaves a URL without credentials alone', () => {
    expect(redactUrl('rtsp://10.0.0.5:554/a')).toBe('rtsp://10.0.0.5:554/a');
  });

  test('takes out passwords in the query and in the path', () => {
    expect(redactUrl('rtsp://h/cam?user=admin&password=geheim&channel=1')).toBe(
      'rtsp://h/cam?user=admin&password=***&channel=1',
    );
    expect(redactUrl('rtsp://h/user=admin&password=geheim&channel=1.sdp')).toBe(
      'rtsp://h/user=admin&password=***&channel=1.sdp',
    );
  });

  test('shows no password whatever characters it is made of, typed raw or percent-encoded', () => {
    fc.assert(
      fc.property(secret, fc.boolean(), (password, isEncoded) => {
        const typed = isEncoded ? encodeURIComponent(password.toWellFormed()) : password;
        expect(redactUrl(`rtsp://admin:${typed}@cam.example/live`)).not.toContain(mark);
      }),
    );
  });
});

describe('scrubSecrets', () => {
  test('takes credentials out of every URL in a text', () => {
    const text = 'first rtsp://a:b@h1/x then\nhttp://c:d@h2/y: 401 Unauthorized';
    expect(scrubSecrets(text)).toBe('first rtsp://***@h1/x then\nhttp://***@h2/y: 401 Unauthorized');
  });

  test('takes out the value of Authorization headers', () => {
    const text = 'Authorization: Basic YTpi\r\nCSeq: 3\r\nproxy-authorization: Digest username="a"\r\n';
    expect(scrubSecrets(text)).toBe('Authorization: ***\r\nCSeq: 3\r\nproxy-authorization: ***\r\n');
  });

  test('takes out the secrets that it is told of, as they are and percent-encoded', () => {
    expect(scrubSecrets('p@ss! and p%40ss!', ['p@ss!', ''])).toBe('*** and ***');
  });

  test('shows no password of a URL wherever it stands in a text', () => {
    fc.assert(
      fc.property(fc.string(), secret, fc.string(), (before, password, after) => {
        const text = `${before} rtsp://admin:${password}@cam/live ${after}`;
        expect(scrubSecrets(text)).not.toContain(mark);
      }),
    );
  });

  test('changes a text no further when it is scrubbed again', () => {
    fc.assert(
      fc.property(fc.string(), secret, (around, password) => {
        const once = scrubSecrets(`${around} rtsp://u:${password}@h/?password=${around}`);
        expect(scrubSecrets(once)).toBe(once);
      }),
    );
  });

  test('takes no time that grows faster than the text', () => {
    // Quadratic backtracking would take minutes here and run into the time limit of the test.
    for (const part of ['rtsp://', 'a', 'a.', 'password=', 'authorization', '&', '@']) {
      expect(scrubSecrets(part.repeat(50_000))).not.toBe('');
    }
  });
});
