import type { CameraRegistration } from '#schemas';

type Settings = Omit<
  CameraRegistration,
  'camera_id' | 'url' | 'sealed_credentials' | 'config_version' | 'created_at' | 'updated_at' | 'updated_by'
>;

/** What a user says of a camera, to register it or to change what is registered; what is left out stays, or takes its default. */
export interface CameraRegistrationInput extends Partial<Settings> {
  readonly camera_id: string;
  /** With credentials, if it has any; they are sealed. Sent back as it was shown, it changes nothing. */
  readonly url?: string;
  /** In place of the one in the URL. */
  readonly password?: string;
}
