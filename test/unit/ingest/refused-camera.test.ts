import { randomBytes } from 'node:crypto';
import { expect, test } from 'vitest';
import { toAppError, type AppError } from '#shared/core/errors';
import { createSecretBox } from '#shared/core/secret-box';
import { specFromRegistration } from '../../../services/ingest/core/camera-registration.ts';
import { refusedCamera } from '../../../services/ingest/core/refused-camera.ts';
import { ingestHarness, ManualClock } from '../../support/ingest-doubles.ts';
import { registration } from '../../support/registrations.ts';

/** What ingest meets when it has another key than whoever registered the camera. */
function openedWithAnotherKey(url: string): AppError {
  try {
    specFromRegistration(registration({ camera_id: 'gate', url }), createSecretBox(randomBytes(32)));
  } catch (thrown) {
    return toAppError(thrown);
  }
  throw new Error('it opened');
}

test('a registration that was sealed with another key ends as REJECTED, with the reason and without the address', async () => {
  const error = openedWithAnotherKey('rtsp://viewer:canary-5ecret@192.0.2.1/stream');
  expect(error.code).toBe('SIGHTLINE_SECRET_UNREADABLE');
  const { camera, openSource } = refusedCamera('gate', error);
  const run = ingestHarness({ cameras: [camera], openSource, clock: new ManualClock() });
  await run.service.start();
  await run.service.finished;
  expect(run.statuses.at(-1)).toMatchObject({ camera_id: 'gate', state: 'REJECTED', reason_code: 'AUTH' });
  expect(run.statuses.at(-1)?.reason_text).toBe(error.message);
  expect(JSON.stringify(run.statuses)).not.toContain('canary-5ecret');
});
