import type { ApiFlags } from '../api/api-address.ts';

export const passwordVariable = 'SIGHTLINE_CAMERA_PASSWORD';

/** Flags of the commands that change a camera; the switches are absent where neither form was given. */
export interface SettingFlags extends ApiFlags {
  readonly fps?: number;
  readonly filter?: 'off' | 'auto';
  readonly transport?: 'tcp' | 'udp';
  readonly priority?: number;
  readonly tag?: readonly string[];
  readonly passwordFile?: string;
  /** As it was asked for; no argument has it. */
  readonly password?: string;
  readonly loop?: boolean;
  readonly allowHttp?: boolean;
  readonly tlsInsecure?: boolean;
  readonly address?: string;
  readonly ifVersion?: number;
  readonly saveAnyway?: true;
  readonly probe?: boolean;
  readonly json?: true;
}

/** Of the commands that also work on the topic of the cameras. */
export interface TopicFlags extends SettingFlags {
  readonly brokers?: string;
  readonly registry?: string;
  readonly prefix?: string;
  readonly stateDir?: string;
}

/** A camera named by its make in place of its URL. */
export interface MakeFlags {
  readonly make?: string;
  readonly host?: string;
  readonly channel?: number;
  readonly stream?: 'main' | 'sub';
  readonly user?: string;
}

/** What the API and the topic can both do. */
export interface CameraActions {
  list(flags: TopicFlags & { readonly state?: string }): Promise<void>;
  /** `text` is ID=URL. */
  add(text: string, flags: TopicFlags): Promise<void>;
  remove(ids: readonly string[], flags: TopicFlags): Promise<void>;
}
