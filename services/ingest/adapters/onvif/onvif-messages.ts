export interface ProfilesRequest {
  /** An address and no name: it was resolved and judged. */
  readonly address: string;
  readonly port: number;
  readonly path: string;
  readonly user: string | null;
  readonly password: string | null;
  readonly timeoutMs: number;
}

export interface OnvifProfile {
  readonly token: string;
  readonly name: string;
  /** As the device gives it, without credentials. */
  readonly url: string;
  readonly codec: string | null;
  readonly width_px: number | null;
  readonly height_px: number | null;
  readonly fps: number | null;
}

export interface OnvifDevice {
  readonly manufacturer: string | null;
  readonly model: string | null;
  readonly firmware: string | null;
  readonly profiles: readonly OnvifProfile[];
}

export type ProfilesAnswer =
  | { readonly kind: 'found'; readonly device: OnvifDevice }
  | { readonly kind: 'failed'; readonly reason: 'auth' | 'refused' | 'unreachable' | 'timeout' | 'protocol' };
