import { useEffect, useRef, useState } from 'preact/hooks';
import { addCamera, paths, probeUrl, verdictOf, type CameraAddress } from '../api/api.ts';
import { ApiError } from '../api/request.ts';
import { curlLine, withoutPassword } from '../core/command-lines.ts';
import { hrefOf } from '../core/routes.ts';
import { withUser } from '../core/stream-url.ts';
import type { Verdict } from '../core/types.ts';
import { useAttempt } from '../state/use-attempt.ts';
import { CommandLine } from '../ui/command-line.tsx';
import { Field } from '../ui/field.tsx';
import { LivePicture } from '../ui/live-picture.tsx';
import { Problem } from '../ui/notice.tsx';
import { FindCamera } from './find-camera.tsx';

export function AddCameraPage() {
  const [added, setAdded] = useState<string | undefined>();
  return (
    <>
      <header class="page-head">
        <h1>Add a camera</h1>
      </header>
      <section class="card" aria-label="Address and verdict">
        <AddCameraForm onAdded={setAdded} />
      </section>
      {added === undefined ? null : (
        <section class="card" aria-labelledby="added-title">
          <h2 id="added-title" aria-live="polite">
            {added} is registered
          </h2>
          <div class="first-picture">
            <LivePicture cameraId={added} label={`First picture of ${added}`} fps={5} active />
          </div>
          <p>
            <a class="button primary" href={hrefOf({ page: 'camera', cameraId: added })}>
              Open the camera
            </a>
          </p>
        </section>
      )}
    </>
  );
}

const stepDelayMs = 180;
const idRule = '[a-zA-Z0-9_\\-]+';

export function AddCameraForm({ onAdded }: { readonly onAdded: (cameraId: string) => void }) {
  const [url, setUrl] = useState('');
  const [user, setUser] = useState('');
  const [password, setPassword] = useState('');
  const [id, setId] = useState('');
  const [verdict, setVerdict] = useState<Verdict | undefined>();
  const [shownSteps, setShownSteps] = useState(0);
  const { busy, problem, attempt } = useAttempt<'probing' | 'saving'>();
  const probing = useRef<AbortController | undefined>(undefined);
  useEffect(() => () => probing.current?.abort(), []);

  // The API gives its steps together; one after the other is how they are read.
  useEffect(() => {
    if (verdict === undefined || shownSteps >= verdict.steps.length) return undefined;
    const calm = window.matchMedia('(prefers-reduced-motion: reduce)').matches;
    const timer = window.setTimeout(() => setShownSteps(calm ? verdict.steps.length : shownSteps + 1), stepDelayMs);
    return () => window.clearTimeout(timer);
  }, [verdict, shownSteps]);

  const address: CameraAddress = {
    url: withUser(url.trim(), user),
    ...(password === '' ? {} : { password }),
  };
  const edit =
    (set: (value: string) => void) =>
    (value: string): void => {
      set(value);
      setVerdict(undefined);
    };
  const probe = (): Promise<void> =>
    attempt('probing', async () => {
      setVerdict(undefined);
      setShownSteps(0);
      probing.current?.abort();
      probing.current = new AbortController();
      setVerdict(await probeUrl(address, probing.current.signal));
    });
  const save = (anyway: boolean): Promise<void> =>
    attempt('saving', async () => {
      const camera = { id: id.trim(), ...address, ...(anyway ? { save_anyway: true } : {}) };
      try {
        onAdded((await addCamera(camera)).id);
        setPassword('');
      } catch (error) {
        const refusal = error instanceof ApiError ? verdictOf(error) : undefined;
        if (refusal === undefined) throw error;
        setVerdict(refusal);
        setShownSteps(0);
      }
    });

  const shown = {
    id: id.trim() || 'front-door',
    url: withoutPassword(address.url === '' ? 'rtsp://camera/stream' : address.url),
    ...(password === '' ? {} : { password: '…' }),
  };
  return (
    <form
      class="add-form"
      onSubmit={(event) => {
        event.preventDefault();
        void save(false); // tells its failures itself
      }}
    >
      <FindCamera user={user} password={password} onUrl={edit(setUrl)} />
      <label class="field">
        Address of the stream
        <input
          required
          autocomplete="off"
          spellcheck={false}
          inputMode="url"
          placeholder="rtsp://10.0.0.9:554/stream"
          value={url}
          onInput={(event) => edit(setUrl)(event.currentTarget.value)}
        />
      </label>
      <div class="find-row">
        <Field label="User" value={user} onValue={edit(setUser)} placeholder="where the camera asks for one" />
        <Field label="Password" value={password} onValue={edit(setPassword)} type="password" />
      </div>
      <div class="actions start">
        <button type="button" disabled={busy !== '' || url.trim() === ''} onClick={() => void probe()}>
          {busy === 'probing' ? 'Trying it…' : 'Try it'}
        </button>
      </div>
      <div role="status" aria-live="polite">
        {busy === 'probing' ? <p class="muted">Opening the stream; this takes some seconds at most.</p> : null}
        {verdict === undefined ? null : <VerdictView verdict={verdict} shownSteps={shownSteps} />}
      </div>
      <label class="field">
        Name for it
        <input
          required
          pattern={idRule}
          maxLength={64}
          placeholder="front-door"
          title="Letters, digits, - and _"
          value={id}
          onInput={(event) => setId(event.currentTarget.value)}
        />
      </label>
      <Problem problem={problem} />
      <div class="actions start">
        {verdict?.usable === false && id.trim() !== '' ? (
          <button type="button" disabled={busy !== ''} onClick={() => void save(true)}>
            Save it all the same
          </button>
        ) : null}
        <button type="submit" class="primary" disabled={busy !== ''}>
          {busy === 'saving' ? 'Saving…' : 'Save the camera'}
        </button>
      </div>
      <CommandLine line={curlLine(location.origin, 'POST', paths.cameras, shown)} />
    </form>
  );
}

function VerdictView({ verdict, shownSteps }: { readonly verdict: Verdict; readonly shownSteps: number }) {
  const done = shownSteps >= verdict.steps.length;
  return (
    <>
      <ol class="steps">
        {verdict.steps.slice(0, shownSteps).map((step) => (
          <li key={step.name} class={`step step-${step.outcome}`}>
            <span class="step-mark" aria-hidden="true" />
            <span class="step-name">{step.name}</span>
            <span class="muted">
              {step.outcome === 'failed' ? 'failed: ' : ''}
              {step.detail}
            </span>
          </li>
        ))}
      </ol>
      {done ? (
        <div class={`notice ${verdict.usable ? 'notice-good' : 'notice-bad'}`} data-usable={verdict.usable}>
          <p>{verdict.summary}</p>
          {verdict.action === undefined ? null : <p>What to do: {verdict.action}</p>}
          {verdict.advice.map((one) => (
            <p key={one}>{one}</p>
          ))}
          {verdict.code === undefined ? null : <p class="small mono">{verdict.code}</p>}
        </div>
      ) : null}
    </>
  );
}
