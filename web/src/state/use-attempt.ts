import { useState } from 'preact/hooks';
import { ApiError } from '../api/request.ts';
import { messageOf } from './session.ts';

export interface Attempts<Kind extends string> {
  /** What is under way; '' for nothing. */
  readonly busy: Kind | '';
  /** Why the last one failed. */
  readonly problem: ApiError | undefined;
  /** Never rejects: a failure becomes the problem that is shown. */
  readonly attempt: (kind: Kind, work: () => Promise<void>) => Promise<void>;
}

/** Work that a button begins, one at a time, and how it went. */
export function useAttempt<Kind extends string>(): Attempts<Kind> {
  const [busy, setBusy] = useState<Kind | ''>('');
  const [problem, setProblem] = useState<ApiError | undefined>();
  return {
    busy,
    problem,
    async attempt(kind, work) {
      setBusy(kind);
      setProblem(undefined);
      try {
        await work();
      } catch (error) {
        setProblem(error instanceof ApiError ? error : new ApiError(0, undefined, messageOf(error)));
      } finally {
        setBusy('');
      }
    },
  };
}
