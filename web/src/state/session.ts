import { readMe } from '../api/api.ts';
import { ApiError } from '../api/request.ts';
import { forgetToken, keepToken, readToken } from '../api/token.ts';
import type { Me, Role } from '../core/types.ts';
import { createStore } from './store.ts';

export type SessionState =
  | { readonly kind: 'checking' }
  | { readonly kind: 'unreachable'; readonly why: string }
  | { readonly kind: 'signed-out'; readonly why: string | undefined }
  | { readonly kind: 'signed-in'; readonly me: Me };

const retryMs = 3_000;

const store = createStore<SessionState>({ kind: 'checking' });

async function check(): Promise<void> {
  try {
    store.set({ kind: 'signed-in', me: await readMe() });
  } catch (error) {
    const refused = error instanceof ApiError && (error.status === 401 || error.status === 403);
    const missing = readToken() === undefined;
    if (!refused && !missing) {
      // A server that starts anew is no reason to ask for the token again.
      store.set({ kind: 'unreachable', why: messageOf(error) });
      window.setTimeout(() => void check(), retryMs); // tells its outcome in the state
      return;
    }
    store.set({ kind: 'signed-out', why: missing ? undefined : 'This token is not valid (any more).' });
  }
}

export const session = {
  store,
  check,
  async signIn(token: string): Promise<void> {
    keepToken(token);
    await check();
  },
  signOut(): void {
    forgetToken();
    store.set({ kind: 'signed-out', why: undefined });
  },
  /** The API answered 401: the token was revoked, or the run is a new one. */
  refuse(): void {
    if (store.get().kind === 'signed-in') store.set({ kind: 'signed-out', why: 'This token is not valid (any more).' });
  },
};

const ranks: Readonly<Record<Role, number>> = { viewer: 0, operator: 1, admin: 2 };

/** Hiding is a courtesy; the API refuses whatever is not allowed. */
export function may(role: Role): boolean {
  const state = store.get();
  return state.kind === 'signed-in' && ranks[state.me.role] >= ranks[role];
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
