import { randomBytes } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import type { CameraRegistrationInput } from '#shared/core/camera-registration-input';
import { createSecretBox } from '#shared/core/secret-box';
import { registrationFromInput, specFromRegistration } from '../../../services/ingest/core/camera-registration.ts';
import { createCameraSpec, isSameCamera } from '../../../services/ingest/core/camera-spec.ts';
import { registration, testSecretBox } from '../../support/registrations.ts';

const url = 'rtsp://anna:p%40ss%2Fword@192.0.2.10/main?token=abc&x=1';

describe('a registration', () => {
  test('becomes the camera that the same settings make by hand, credentials included', () => {
    const made = registration({ camera_id: 'gate', url, fps: 2, filter: 'AUTO', transport: 'UDP', tags: { a: 'b' } });
    const byHand = createCameraSpec({
      id: 'gate',
      url,
      fps: 2,
      filter: 'auto',
      transport: 'udp',
      tags: { a: 'b' },
      priority: 1,
    });
    expect(isSameCamera(specFromRegistration(made, testSecretBox), byHand)).toBe(true);
  });

  test("hides what its masks hide, whatever they are called; zones and lines are none of ingest's affairs", () => {
    const polygon = [
      { x: 0, y: 0 },
      { x: 0.5, y: 0 },
      { x: 0, y: 0.5 },
    ];
    const made = registration({ camera_id: 'gate', url, masks: [{ id: 'a', name: 'A', polygon }] });
    const spec = specFromRegistration(made, testSecretBox);
    expect(spec.masks).toEqual([polygon]);
    const renamed = registration({ camera_id: 'gate', masks: [{ id: 'b', name: 'B', polygon }] }, made);
    const zoned = registration({ camera_id: 'gate', zones: [{ id: 'z', name: 'Z', polygon, classes: [] }] }, renamed);
    expect(isSameCamera(specFromRegistration(zoned, testSecretBox), spec)).toBe(true);
    const uncovered = registration({ camera_id: 'gate', masks: [] }, zoned);
    expect(isSameCamera(specFromRegistration(uncovered, testSecretBox), spec)).toBe(false);
  });

  test('shows no secret of the URL', () => {
    const made = registration({ camera_id: 'gate', url });
    expect(made.url).toBe('rtsp://192.0.2.10:554/main?token=***&x=1');
    expect(JSON.stringify(made)).not.toMatch(/anna|p@ss|p%40ss|abc/);
  });

  test('seals nothing where there is nothing to seal', () => {
    expect(registration({ camera_id: 'gate', url: 'rtsp://192.0.2.10/main' }).sealed_credentials).toBeNull();
    expect(registration({ camera_id: 'clip', url: 'clip.mp4' })).toMatchObject({
      url: 'clip.mp4',
      sealed_credentials: null,
    });
  });

  test('keeps its credentials when something else is changed, without opening them', () => {
    const before = registration({ camera_id: 'gate', url });
    const otherBox = createSecretBox(randomBytes(32));
    const after = registrationFromInput(
      { camera_id: 'gate', url: before.url, fps: 9 },
      { secretBox: otherBox, nowUs: 2, by: 'ben', allowFiles: false, previous: before },
    );
    expect(after).toEqual({ ...before, fps: 9, updated_at: 2, updated_by: 'ben' });
  });

  test('takes a new password into the URL that it has', () => {
    const before = registration({ camera_id: 'gate', url });
    const after = registration({ camera_id: 'gate', password: 'new:one' }, before);
    const spec = specFromRegistration(after, testSecretBox);
    const expected = createCameraSpec({ id: 'gate', url, password: 'new:one', priority: 1 });
    expect(isSameCamera(spec, expected)).toBe(true);
  });

  test('forgets the credentials of another address', () => {
    const after = registration(
      { camera_id: 'gate', url: 'rtsp://192.0.2.66/main' },
      registration({ camera_id: 'gate', url }),
    );
    expect(after.sealed_credentials).toBeNull();
  });

  test('cannot be run with another key', () => {
    const made = registration({ camera_id: 'gate', url });
    expect(() => specFromRegistration(made, createSecretBox(randomBytes(32)))).toThrow(
      expect.objectContaining({ code: 'SIGHTLINE_SECRET_UNREADABLE' }) as Error,
    );
  });
});

describe('what a user says of a camera', () => {
  const corner = { x: 0, y: 0 };
  const triangle = [corner, { x: 1, y: 0 }, { x: 0, y: 1 }];
  const wrong: readonly (readonly [string, Partial<CameraRegistrationInput>])[] = [
    ['a name that is none', { camera_id: 'a b' }],
    ['no URL', { url: '' }],
    ['a rate of 0', { fps: 0 }],
    ['a crop beyond the picture', { crop: { x: 0.5, y: 0, width: 0.6, height: 1 } }],
    ['a stall timeout of 1 ms', { stall_timeout_ms: 1 }],
    ['a part of a priority', { priority: 1.5 }],
    ['a zone of two corners', { zones: [{ id: 'z', name: '', polygon: triangle.slice(1), classes: [] }] }],
    ['a corner outside the picture', { masks: [{ id: 'm', name: '', polygon: [...triangle, { x: 2, y: 0 }] }] }],
    ['a corner that is no number', { masks: [{ id: 'm', name: '', polygon: [...triangle, { x: NaN, y: 0 }] }] }],
    ['two zones of one id', { zones: ['z', 'z'].map((id) => ({ id, name: '', polygon: triangle, classes: [] })) }],
    ['a line without length', { lines: [{ id: 'l', name: '', from: corner, to: corner, a_to_b: '', b_to_a: '' }] }],
    ['a tag without end', { tags: { site: 'x'.repeat(1000) } }],
  ];

  test.each(wrong)('is refused for %s', (_, change) => {
    expect(() => registration({ camera_id: 'gate', url: 'rtsp://192.0.2.10/main', ...change })).toThrow(
      expect.objectContaining({ code: 'SIGHTLINE_CONFIG_INVALID' }) as Error,
    );
  });

  test('is refused where it names a file and files are not allowed', () => {
    const context = { secretBox: testSecretBox, nowUs: 1, by: 'test', allowFiles: false };
    expect(() => registrationFromInput({ camera_id: 'clip', url: '/etc/passwd' }, context)).toThrow(
      expect.objectContaining({ code: 'SIGHTLINE_CAMERA_URL_INVALID' }) as Error,
    );
  });
});
