import type { TokenStore } from './ports.ts';
import { createToken } from './tokens.ts';

/** The first administrator, where there is no token at all; its text is told once. */
export function createFirstToken(tokens: TokenStore, nowMs: number): string | undefined {
  if (tokens.list().length > 0) return undefined;
  const { text, stored } = createToken({ name: 'first admin', role: 'admin', cameras: null, expiresAtMs: null }, nowMs);
  tokens.put(stored);
  return text;
}
