import { tokenInHash } from '../core/routes.ts';

const key = 'sightline.token';

/**
 * The token of this tab. It comes in the fragment of the link that a run prints, which no server sees, is taken out of the address at once, and
 * lies in sessionStorage: gone with the tab, sent by nobody but us.
 */
export function takeTokenFromAddress(): void {
  const given = tokenInHash(location.hash);
  if (given === undefined) return;
  keepToken(given);
  history.replaceState(null, '', `${location.pathname}${location.search}#/`);
}

export function readToken(): string | undefined {
  return sessionStorage.getItem(key) ?? undefined;
}

export function keepToken(token: string): void {
  sessionStorage.setItem(key, token.trim());
}

export function forgetToken(): void {
  sessionStorage.removeItem(key);
}
