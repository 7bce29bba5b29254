import { useState } from 'preact/hooks';
import { listModels, makeStep, readRollout, type ModelAction, type ModelStep } from '../api/api.ts';
import { modelLine } from '../core/command-lines.ts';
import type { AgreementRow, Candidate, ModelVersion } from '../core/types.ts';
import { timeText } from '../core/words.ts';
import { may } from '../state/session.ts';
import { useLoaded } from '../state/use-loaded.ts';
import { CommandLine } from '../ui/command-line.tsx';
import { Confirm } from '../ui/confirm.tsx';
import { Problem } from '../ui/notice.tsx';

const meanings: Readonly<Record<ModelAction, string>> = {
  activate: 'It works on all cameras from their next frame on. Nothing compares it first.',
  shadow:
    'It runs beside the active model on this share of the cameras and is compared with it. That costs processor time.',
  canary: 'It does the work on this share of the cameras, and is rolled back by itself if it fails its gate.',
  promote: 'The candidate works on all cameras from their next frame on.',
  rollback: 'The candidate is taken away; without one the version before works again.',
  retire: 'The version is not used any more.',
};

export function ModelsPage() {
  const { value: models, problem, reload } = useLoaded(listModels, 5_000);
  const { value: rollout, reload: reloadRollout } = useLoaded(readRollout, 2_000);
  const [step, setStep] = useState<ModelStep | undefined>();
  const candidate = rollout?.candidate;
  const begin = (action: ModelAction, { name, version }: Pick<ModelVersion, 'name' | 'version'>): void =>
    setStep({ action, name, version, share: action === 'shadow' || action === 'canary' ? 0.1 : undefined });
  const active = models?.find(({ state }) => state === 'ACTIVE');
  return (
    <>
      <header class="page-head">
        <h1>Models</h1>
        {may('operator') && active !== undefined && candidate === undefined && rollout?.previous !== undefined ? (
          <button type="button" onClick={() => begin('rollback', active)}>
            Back to {rollout.previous}…
          </button>
        ) : null}
      </header>
      <Problem problem={problem} />
      {models?.length === 0 ? <p class="muted">The API names no model.</p> : null}
      {candidate === undefined ? null : <CandidateCard candidate={candidate} onStep={begin} />}
      {models === undefined || models.length === 0 ? null : (
        <div class="table-scroll" tabIndex={0} role="region" aria-label="Versions of models">
          <table>
            <thead>
              <tr>
                <th scope="col">Model</th>
                <th scope="col">Version</th>
                <th scope="col">State</th>
                <th scope="col">Last change</th>
                <th scope="col">Actions</th>
              </tr>
            </thead>
            <tbody>
              {models.map((model) => (
                <ModelRow key={`${model.name} ${model.version}`} model={model} onStep={begin} />
              ))}
            </tbody>
          </table>
        </div>
      )}
      <CommandLine line={`sightline models show --url ${location.origin}`} />
      {step === undefined ? null : (
        <StepDialog
          step={step}
          onShare={(share) => setStep({ ...step, share })}
          onClose={() => setStep(undefined)}
          onMade={async () => {
            await Promise.all([reload(), reloadRollout()]);
          }}
        />
      )}
    </>
  );
}

type OnStep = (action: ModelAction, model: Pick<ModelVersion, 'name' | 'version'>) => void;

function ModelRow({ model, onStep }: { readonly model: ModelVersion; readonly onStep: OnStep }) {
  const active = model.state === 'ACTIVE';
  const isFree = ['REGISTERED', 'ROLLED_BACK'].includes(model.state);
  const actions: readonly ModelAction[] = isFree && may('operator') ? ['activate', 'shadow', 'canary'] : [];
  return (
    <tr>
      <th scope="row">
        {model.name}
        <details class="small">
          <summary>Details</summary>
          {model.details.map(([label, value]) => (
            <div key={label}>
              {label}: <span class="mono">{value}</span>
            </div>
          ))}
        </details>
      </th>
      <td>{model.version}</td>
      <td>
        <span class={`badge badge-${active ? 'good' : 'idle'}`}>{model.state.toLowerCase().replace('_', ' ')}</span>
      </td>
      <td>
        {timeText(model.changedMs)}
        {model.reason === undefined ? null : <div class="small muted">{model.reason}</div>}
      </td>
      <td>
        {actions.map((action) => (
          <button
            key={action}
            type="button"
            aria-label={`${title(action)} ${model.name} ${model.version}`}
            onClick={() => onStep(action, model)}
          >
            {title(action)}…
          </button>
        ))}
      </td>
    </tr>
  );
}

function CandidateCard({ candidate, onStep }: { readonly candidate: Candidate; readonly onStep: OnStep }) {
  const { name, version, mode, cameras, verdict, checks, rows } = candidate;
  return (
    <section class="card" aria-labelledby="candidate">
      <h2 id="candidate">
        {name} {version}: {mode} on {cameras.length === 0 ? 'no camera' : cameras.join(', ')}
      </h2>
      <p>
        Gate: <span class={`badge badge-${verdict === 'pass' ? 'good' : 'idle'}`}>{verdict}</span>
      </p>
      <ul class="small">
        {checks.map((check) => (
          <li key={check.text}>
            {check.verdict}: {check.text}
          </li>
        ))}
      </ul>
      {rows.length === 0 ? null : <AgreementTable rows={rows} />}
      {may('operator') ? (
        <div class="actions">
          <button type="button" class="quiet" onClick={() => onStep('rollback', candidate)}>
            Roll back…
          </button>
          {mode === 'shadow' ? (
            <button type="button" onClick={() => onStep('canary', candidate)}>
              Canary…
            </button>
          ) : null}
          <button type="button" class="primary" onClick={() => onStep('promote', candidate)}>
            Promote…
          </button>
        </div>
      ) : null}
    </section>
  );
}

function AgreementTable({ rows }: { readonly rows: readonly AgreementRow[] }) {
  return (
    <div class="table-scroll" tabIndex={0} role="region" aria-label="Agreement by camera and class">
      <table>
        <thead>
          <tr>
            <th scope="col">Camera</th>
            <th scope="col">Class</th>
            <th scope="col">Both saw</th>
            <th scope="col">Only the active</th>
            <th scope="col">Only the candidate</th>
            <th scope="col">Agreement</th>
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <tr key={`${row.cameraId} ${row.className}`}>
              <th scope="row">{row.cameraId}</th>
              <td>{row.className}</td>
              <td>{row.matched}</td>
              <td>{row.onlyActive}</td>
              <td>{row.onlyCandidate}</td>
              <td>{row.agreement === undefined ? '–' : `${(row.agreement * 100).toFixed(1)} %`}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

interface StepDialogProps {
  readonly step: ModelStep;
  readonly onShare: (share: number) => void;
  readonly onClose: () => void;
  readonly onMade: () => Promise<void>;
}

function StepDialog({ step, onShare, onClose, onMade }: StepDialogProps) {
  const { action, name, version, share } = step;
  return (
    <Confirm
      title={`${title(action)} ${name} ${version}?`}
      action={title(action)}
      asksReason
      onClose={onClose}
      onConfirm={async (reason) => {
        await makeStep(step, reason);
        await onMade();
      }}
    >
      <p>{meanings[action]}</p>
      {share === undefined ? null : (
        <label class="field">
          Share of the cameras, %
          <input
            type="number"
            min={0}
            max={100}
            required
            value={Math.round(share * 100)}
            onInput={(event) => onShare(Number(event.currentTarget.value) / 100)}
          />
        </label>
      )}
      <CommandLine line={modelLine(location.origin, { action, model: `${name}@${version}`, share })} />
    </Confirm>
  );
}

function title(action: ModelAction): string {
  return action === 'rollback' ? 'Roll back' : `${action.charAt(0).toUpperCase()}${action.slice(1)}`;
}
