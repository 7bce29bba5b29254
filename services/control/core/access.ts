/** What a token may do. Each role may also do what the one before it may. */
export const roles = ['viewer', 'operator', 'admin'] as const;
export type Role = (typeof roles)[number];

/** Who asks. `cameras` null: all of them, those that come later too. */
export interface Principal {
  readonly tokenId: string;
  readonly name: string;
  readonly role: Role;
  readonly cameras: readonly string[] | null;
  /** Null for as long as the token is not revoked. */
  readonly expiresAtMs: number | null;
}

/** What a route asks of its caller; every route has one, `server.ts` refuses to start with a route that has not. */
export interface AccessRule {
  /** `public` asks for no token. */
  readonly role: Role | 'public';
  /**
   * `camera`: the parameter `id` must be within the caller's cameras. `filtered`: the answer holds only the caller's cameras.
   * `all`: only for callers whose token covers every camera. `none`: cameras have no part in it.
   */
  readonly scope: 'camera' | 'filtered' | 'all' | 'none';
}

export type AccessVerdict = 'allowed' | 'unauthenticated' | 'role-too-low' | 'out-of-scope';

export function judgeAccess(rule: AccessRule, principal: Principal | undefined, cameraId?: string): AccessVerdict {
  if (rule.role === 'public') return 'allowed';
  if (principal === undefined) return 'unauthenticated';
  if (roles.indexOf(principal.role) < roles.indexOf(rule.role)) return 'role-too-low';
  switch (rule.scope) {
    case 'none':
    case 'filtered':
      return 'allowed';
    case 'all':
      return principal.cameras === null ? 'allowed' : 'out-of-scope';
    case 'camera':
      return cameraId !== undefined && maySeeCamera(principal, cameraId) ? 'allowed' : 'out-of-scope';
  }
}

export function maySeeCamera(principal: Principal, cameraId: string): boolean {
  return principal.cameras?.includes(cameraId) ?? true;
}
