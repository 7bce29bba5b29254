import { hash, randomBytes, timingSafeEqual } from 'node:crypto';
import type { Principal, Role } from './access.ts';
import { isForeign } from './identity.ts';

/** A token as it is kept: its text is nowhere, only the hash of it. */
export interface StoredToken {
  readonly id: string;
  readonly name: string;
  readonly role: Role;
  readonly cameras: readonly string[] | null;
  /** sha256 of the whole text, hex. 256 random bits need no slow hash: there is nothing to guess. */
  readonly sha256: string;
  readonly createdAtMs: number;
  readonly expiresAtMs: number | null;
}

export interface NewToken {
  readonly text: string;
  readonly stored: StoredToken;
}

export interface TokenRequest {
  readonly name: string;
  readonly role: Role;
  readonly cameras: readonly string[] | null;
  readonly expiresAtMs: number | null;
}

const prefix = 'sl';
const tokenPattern = /^sl_([0-9a-f]{12})_([A-Za-z0-9_-]{43})$/;

/** Makes a token; its text is in the answer and nowhere else. */
export function createToken(request: TokenRequest, nowMs: number): NewToken {
  const id = randomBytes(6).toString('hex');
  const text = `${prefix}_${id}_${randomBytes(32).toString('base64url')}`;
  return { text, stored: { ...request, id, sha256: hash('sha256', text, 'hex'), createdAtMs: nowMs } };
}

/** The id within a token's text, by which its hash is looked up; undefined where it is no token of ours. */
export function tokenIdOf(text: string): string | undefined {
  return tokenPattern.exec(text)?.[1];
}

/** Compares in constant time; an unknown token costs the same as a known one, so that time tells nobody which ids there are. */
export function matchToken(text: string, stored: StoredToken | undefined, nowMs: number): Principal | undefined {
  const given = Buffer.from(hash('sha256', text, 'hex'), 'hex');
  const expected = Buffer.from(stored?.sha256 ?? '0'.repeat(64), 'hex');
  const isSame = timingSafeEqual(given, expected);
  if (!isSame || stored === undefined) return undefined;
  const { id: tokenId, name, role, cameras, expiresAtMs } = stored;
  const principal = { tokenId, name, role, cameras, expiresAtMs };
  return isInForce(principal, stored, nowMs) ? principal : undefined;
}

/** Whether a token that was right before still is: it has not expired, and nobody revoked it. Somebody else's tokens we cannot see revoked. */
export function isInForce(principal: Principal, stored: StoredToken | undefined, nowMs: number): boolean {
  const { tokenId, expiresAtMs } = principal;
  if (expiresAtMs !== null && expiresAtMs <= nowMs) return false;
  return isForeign(tokenId) || stored !== undefined;
}
