import { randomBytes } from 'node:crypto';
import type { CameraRegistration } from '#schemas';
import type { CameraRegistrationInput } from '#shared/core/camera-registration-input';
import { createSecretBox } from '#shared/core/secret-box';
import { registrationFromInput } from '../../services/ingest/core/camera-registration.ts';

export const testSecretBox = createSecretBox(randomBytes(32));

/** A registration as the API would make it. */
export function registration(input: CameraRegistrationInput, previous?: CameraRegistration): CameraRegistration {
  return registrationFromInput(input, {
    secretBox: testSecretBox,
    nowUs: 1_700_000_000_000_000,
    by: 'test',
    allowFiles: true,
    ...(previous === undefined ? {} : { previous }),
  });
}
