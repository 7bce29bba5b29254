import { useState } from 'preact/hooks';
import { createToken, listTokens, paths, revokeToken } from '../api/api.ts';
import { ApiError } from '../api/request.ts';
import { curlLine } from '../core/command-lines.ts';
import type { Token } from '../core/types.ts';
import { timeText } from '../core/words.ts';
import { messageOf } from '../state/session.ts';
import { useLoaded } from '../state/use-loaded.ts';
import { CommandLine } from '../ui/command-line.tsx';
import { Confirm } from '../ui/confirm.tsx';
import { Problem } from '../ui/notice.tsx';

export function TokensPage() {
  const { value: tokens, problem, reload } = useLoaded(listTokens, 5_000);
  const [revoking, setRevoking] = useState<Token | undefined>();
  return (
    <>
      <header class="page-head">
        <h1>Tokens</h1>
      </header>
      <Problem problem={problem} />
      <div class="table-scroll" tabIndex={0} role="region" aria-label="Tokens">
        <table>
          <thead>
            <tr>
              <th scope="col">Name</th>
              <th scope="col">Role</th>
              <th scope="col">Cameras</th>
              <th scope="col">Made</th>
              <th scope="col">Ends</th>
              <th scope="col">Actions</th>
            </tr>
          </thead>
          <tbody>
            {tokens?.map((token) => (
              <tr key={token.id}>
                <th scope="row">{token.name}</th>
                <td>{token.role}</td>
                <td>{token.cameras}</td>
                <td class="mono">{timeText(token.createdMs)}</td>
                <td class="mono">{token.expiresMs === undefined ? 'never' : timeText(token.expiresMs)}</td>
                <td>
                  <button type="button" aria-label={`Revoke ${token.name}`} onClick={() => setRevoking(token)}>
                    Revoke…
                  </button>
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      <NewToken onMade={reload} />
      {revoking === undefined ? null : (
        <Confirm
          title={`Revoke ${revoking.name}?`}
          action="Revoke"
          asksReason={false}
          onClose={() => setRevoking(undefined)}
          onConfirm={async () => {
            await revokeToken(revoking.id);
            await reload();
          }}
        >
          <p>Whoever uses it is refused from the next request on.</p>
          <CommandLine line={curlLine(location.origin, 'DELETE', `${paths.tokens}/${revoking.id}`)} />
        </Confirm>
      )}
    </>
  );
}

function NewToken({ onMade }: { readonly onMade: () => Promise<void> }) {
  const [name, setName] = useState('');
  const [role, setRole] = useState('viewer');
  const [secret, setSecret] = useState<string | undefined>();
  const [problem, setProblem] = useState<ApiError | undefined>();
  async function make(event: Event): Promise<void> {
    event.preventDefault();
    setProblem(undefined);
    try {
      setSecret(await createToken(name, role));
      setName('');
      await onMade();
    } catch (error) {
      setProblem(error instanceof ApiError ? error : new ApiError(0, undefined, messageOf(error)));
    }
  }
  return (
    <section class="card" aria-labelledby="new-token">
      <h2 id="new-token">New token</h2>
      <form onSubmit={(event) => void make(event)}>
        <label class="field">
          Name
          <input required maxLength={60} value={name} onInput={(event) => setName(event.currentTarget.value)} />
        </label>
        <label class="field">
          Role
          <select value={role} onChange={(event) => setRole(event.currentTarget.value)}>
            <option value="viewer">viewer: looks</option>
            <option value="operator">operator: changes cameras and models</option>
            <option value="admin">admin: tokens and audit too</option>
          </select>
        </label>
        <div class="actions">
          <button type="submit" class="primary">
            Make the token
          </button>
        </div>
      </form>
      <div role="status">
        {secret === undefined ? null : (
          <div class="notice notice-good">
            <p>Shown this once; keep it where secrets are kept:</p>
            <code class="secret">{secret}</code>
          </div>
        )}
      </div>
      <Problem problem={problem} />
      <CommandLine line={curlLine(location.origin, 'POST', paths.tokens, { name: name || 'wall-display', role })} />
    </section>
  );
}
