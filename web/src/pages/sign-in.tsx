import { useState } from 'preact/hooks';
import { session } from '../state/session.ts';

export function SignIn({ why }: { readonly why: string | undefined }) {
  const [token, setToken] = useState('');
  return (
    <main class="sign-in" id="main">
      <form
        class="card"
        onSubmit={(event) => {
          event.preventDefault();
          void session.signIn(token); // tells its outcome in the session's state
        }}
      >
        <h1>Sightline</h1>
        <p>
          This page needs a token. A run prints a link with one when it starts for the first time; an admin makes
          others.
        </p>
        <label class="field">
          Token
          <input
            required
            type="password"
            autocomplete="off"
            value={token}
            onInput={(event) => setToken(event.currentTarget.value)}
          />
        </label>
        {why === undefined ? null : (
          <p class="notice notice-bad" role="alert">
            {why}
          </p>
        )}
        <div class="actions">
          <button type="submit" class="primary">
            Open
          </button>
        </div>
      </form>
    </main>
  );
}
