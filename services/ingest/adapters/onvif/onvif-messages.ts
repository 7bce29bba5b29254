import type { OnvifDevice } from '#shared/core/found-cameras';

export interface ProfilesRequest {
  /** An address and no name: it was resolved and judged. */
  readonly address: string;
  readonly port: number;
  readonly path: string;
  readonly user: string | null;
  readonly password: string | null;
  readonly timeoutMs: number;
}

export type ProfilesAnswer =
  | { readonly kind: 'found'; readonly device: OnvifDevice }
  | { readonly kind: 'failed'; readonly reason: 'auth' | 'refused' | 'unreachable' | 'timeout' | 'protocol' };
