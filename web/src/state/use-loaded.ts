import { useCallback, useEffect, useRef, useState } from 'preact/hooks';
import { ApiError } from '../api/request.ts';
import { session } from './session.ts';

export interface Loaded<T> {
  readonly value: T | undefined;
  readonly problem: ApiError | undefined;
  /** Asks again now; for after a change. */
  readonly reload: () => Promise<void>;
}

/** Asks the API when the component appears, and again every `everyMs` while the page is looked at. The last value stays while an answer fails. */
export function useLoaded<T>(load: () => Promise<T>, everyMs: number | undefined, key = ''): Loaded<T> {
  const [state, setState] = useState<{ key: string; value?: T; problem?: ApiError }>({ key });
  const latest = useRef(load);
  latest.current = load;
  const currentKey = useRef(key);
  currentKey.current = key;

  const reload = useCallback(async () => {
    try {
      const value = await latest.current();
      if (currentKey.current === key) setState({ key, value });
    } catch (error) {
      if (error instanceof ApiError && error.status === 401) session.refuse();
      const problem = error instanceof ApiError ? error : new ApiError(0, undefined, String(error));
      if (currentKey.current === key) setState((before) => ({ ...before, key, problem }));
    }
  }, [key]);

  useEffect(() => {
    let timer: number | undefined;
    let gone = false;
    const turn = async (): Promise<void> => {
      if (!document.hidden) await reload();
      // The component may have gone while the answer was on its way.
      if (!isGone() && everyMs !== undefined) timer = window.setTimeout(owned, everyMs);
    };
    const isGone = (): boolean => gone;
    // `reload` throws nothing, so the promise has nothing to tell.
    const owned = (): void => void turn();
    owned();
    return () => {
      gone = true;
      window.clearTimeout(timer);
    };
  }, [reload, everyMs]);

  const same = state.key === key;
  return { value: same ? state.value : undefined, problem: same ? state.problem : undefined, reload };
}
