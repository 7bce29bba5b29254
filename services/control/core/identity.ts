import { AppError } from '#shared/core/errors';
import { roles, type Principal, type Role } from './access.ts';

/** How the claims of somebody else's tokens become what ours say. */
export interface ClaimRules {
  /** Claim with the roles or groups: its name, or a path with dots (`realm_access.roles`). */
  readonly roleClaim: string;
  /** What a value of that claim is here. */
  readonly roles: Readonly<Record<string, Role>>;
  /** Claim with the ids of the cameras, `*` for all. Absent: every token covers all cameras. */
  readonly camerasClaim?: string;
  readonly nameClaim: string;
}

/** Says who has a token of somebody else's, such as a company's sign-in. */
export interface IdentityProvider {
  /** Throws SIGHTLINE_JWT_INVALID, _JWT_EXPIRED, _JWT_NO_ROLE, SIGHTLINE_IDENTITY_UNREACHABLE. */
  identify(token: string): Promise<Principal>;
  /** Why it can say nothing of anybody yet; undefined once it can. */
  readonly waitsFor: string | undefined;
}

type Claims = Readonly<Record<string, unknown>>;

/** No id of ours has a colon. */
const foreignPrefix = 'jwt:';
const maxNameLength = 100;
const maxIdLength = 64;
const maxCameras = 10_000;

/** Looks like a JWT: three parts. Ours have none of its dots. */
export function isJwt(text: string): boolean {
  return /^[\w-]+\.[\w-]+\.[\w-]+$/.test(text);
}

/** Who the claims of a token that was verified speak of. Throws SIGHTLINE_JWT_NO_ROLE. */
export function principalOf(claims: Claims, rules: ClaimRules): Principal {
  const { sub } = claims;
  const id = `${foreignPrefix}${clean(typeof sub === 'string' ? sub : '')}`.slice(0, maxIdLength);
  const named = claimAt(claims, rules.nameClaim);
  const name = clean(typeof named === 'string' && named !== '' ? named : id).slice(0, maxNameLength);
  const given = valuesOf(claimAt(claims, rules.roleClaim));
  // The highest of them: who is in two groups has what either gives.
  const role = roles.findLast((one) =>
    given.some((value) => Object.hasOwn(rules.roles, value) && rules.roles[value] === one),
  );
  if (role === undefined) {
    throw new AppError('SIGHTLINE_JWT_NO_ROLE', `no value of the claim ${rules.roleClaim} is a role here`);
  }
  const expiresAtMs = typeof claims['exp'] === 'number' ? claims['exp'] * 1000 : null;
  return { tokenId: id, name, role, cameras: camerasOf(claims, rules.camerasClaim), expiresAtMs };
}

/** Whether the id of a principal is of a token that somebody else made. */
export function isForeign(tokenId: string): boolean {
  return tokenId.startsWith(foreignPrefix);
}

/** A token without the claim covers no camera: what was forgotten opens nothing. */
function camerasOf(claims: Claims, claim: string | undefined): readonly string[] | null {
  if (claim === undefined) return null;
  const ids = valuesOf(claimAt(claims, claim));
  if (ids.includes('*')) return null;
  return ids.filter((id) => /^[\w-]{1,64}$/.test(id)).slice(0, maxCameras);
}

function claimAt(claims: Claims, path: string): unknown {
  // Names of claims may be URLs, with dots of their own.
  if (Object.hasOwn(claims, path)) return claims[path];
  let value: unknown = claims;
  for (const name of path.split('.')) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, name)) return undefined;
    value = (value as Claims)[name]; // an object that has it
  }
  return value;
}

/** A list, or words with spaces between as OAuth writes scopes. */
function valuesOf(claim: unknown): readonly string[] {
  if (typeof claim === 'string') return claim.split(' ').filter(Boolean);
  if (!Array.isArray(claim)) return [];
  return (claim as readonly unknown[]).filter((one): one is string => typeof one === 'string');
}

function clean(text: string): string {
  return text.replaceAll(/\p{C}/gu, '');
}
