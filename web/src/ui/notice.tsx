import type { ApiError } from '../api/request.ts';

/** What went wrong, what to do, and the code to look up. */
export function Problem({ problem }: { readonly problem: ApiError | undefined }) {
  if (problem === undefined) return null;
  return (
    <div class="notice notice-bad" role="alert">
      <p>{problem.message}</p>
      {problem.action === undefined ? null : <p>{problem.action}</p>}
      {problem.code === undefined ? null : <p class="small mono">{problem.code}</p>}
    </div>
  );
}
