import type { ComponentChildren } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import { ApiError } from '../api/request.ts';
import { messageOf } from '../state/session.ts';
import { Problem } from './notice.tsx';

export interface ConfirmProps {
  readonly title: string;
  readonly action: string;
  /** True where the change is written down with why it was made. */
  readonly asksReason: boolean;
  readonly children: ComponentChildren;
  readonly onConfirm: (reason: string) => Promise<void>;
  readonly onClose: () => void;
}

/** The browser's own dialog keeps the focus inside, closes with Escape and gives the focus back. */
export function Confirm({ title, action, asksReason, children, onConfirm, onClose }: ConfirmProps) {
  const dialog = useRef<HTMLDialogElement>(null);
  const [reason, setReason] = useState('');
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<ApiError | undefined>();
  useEffect(() => dialog.current?.showModal(), []);

  async function go(event: Event): Promise<void> {
    event.preventDefault();
    setBusy(true);
    try {
      await onConfirm(reason);
      onClose();
    } catch (error) {
      setProblem(error instanceof ApiError ? error : new ApiError(0, undefined, messageOf(error)));
      setBusy(false);
    }
  }

  return (
    <dialog ref={dialog} aria-labelledby="confirm-title" onClose={onClose}>
      <form onSubmit={(event) => void go(event)}>
        <h2 id="confirm-title">{title}</h2>
        {children}
        {asksReason ? (
          <label class="field">
            Reason
            <input required value={reason} onInput={(event) => setReason(event.currentTarget.value)} />
          </label>
        ) : null}
        <Problem problem={problem} />
        <div class="actions">
          <button type="button" class="quiet" onClick={() => dialog.current?.close()}>
            Cancel
          </button>
          <button type="submit" class="primary" disabled={busy}>
            {action}
          </button>
        </div>
      </form>
    </dialog>
  );
}
