import { useState } from 'preact/hooks';
import { activateModel, listModels, modelActionPath, paths, rollBackModel } from '../api/api.ts';
import { curlLine } from '../core/command-lines.ts';
import type { ModelVersion } from '../core/types.ts';
import { timeText } from '../core/words.ts';
import { may } from '../state/session.ts';
import { useLoaded } from '../state/use-loaded.ts';
import { CommandLine } from '../ui/command-line.tsx';
import { Confirm } from '../ui/confirm.tsx';
import { Problem } from '../ui/notice.tsx';

interface Asked {
  readonly action: 'activate' | 'rollback';
  readonly model: ModelVersion;
}

export function ModelsPage() {
  const { value: models, problem, reload } = useLoaded(listModels, 5_000);
  const [asked, setAsked] = useState<Asked | undefined>();
  return (
    <>
      <header class="page-head">
        <h1>Models</h1>
      </header>
      <Problem problem={problem} />
      {models?.length === 0 ? <p class="muted">The API names no model.</p> : null}
      {models === undefined || models.length === 0 ? null : (
        <div class="table-scroll" tabIndex={0} role="region" aria-label="Versions of models">
          <table>
            <thead>
              <tr>
                <th scope="col">Model</th>
                <th scope="col">Version</th>
                <th scope="col">State</th>
                <th scope="col">Agreement</th>
                <th scope="col">Share of frames</th>
                <th scope="col">Last change</th>
                {may('operator') ? <th scope="col">Actions</th> : null}
              </tr>
            </thead>
            <tbody>
              {models.map((model) => (
                <ModelRow key={`${model.name} ${model.version}`} model={model} onAsk={setAsked} />
              ))}
            </tbody>
          </table>
        </div>
      )}
      <CommandLine line={curlLine(location.origin, 'GET', paths.models)} label="This list in a shell" />
      {asked === undefined ? null : (
        <ModelDialog
          asked={asked}
          onClose={() => setAsked(undefined)}
          onDone={reload}
          key={`${asked.action} ${asked.model.version}`}
        />
      )}
    </>
  );
}

function ModelRow({ model, onAsk }: { readonly model: ModelVersion; readonly onAsk: (asked: Asked) => void }) {
  const active = model.state === 'ACTIVE';
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
        {model.agreement === undefined
          ? '–'
          : `${(model.agreement * 100).toFixed(1)} %${model.agreementFrames === undefined ? '' : ` of ${model.agreementFrames} frames`}`}
      </td>
      <td>{model.trafficShare === undefined ? '–' : `${Math.round(model.trafficShare * 100)} %`}</td>
      <td>
        {timeText(model.changedMs)}
        {model.reason === undefined ? null : <div class="small muted">{model.reason}</div>}
      </td>
      {may('operator') ? (
        <td>
          {active ? (
            <button type="button" onClick={() => onAsk({ action: 'rollback', model })}>
              Roll back…
            </button>
          ) : (
            <button type="button" onClick={() => onAsk({ action: 'activate', model })}>
              Activate…
            </button>
          )}
        </td>
      ) : null}
    </tr>
  );
}

interface ModelDialogProps {
  readonly asked: Asked;
  readonly onClose: () => void;
  readonly onDone: () => Promise<void>;
}

function ModelDialog({ asked: { action, model }, onClose, onDone }: ModelDialogProps) {
  const path = modelActionPath(model.name, action);
  const activates = action === 'activate';
  return (
    <Confirm
      title={activates ? `Activate ${model.name} ${model.version}?` : `Roll ${model.name} back?`}
      action={activates ? 'Activate' : 'Roll back'}
      asksReason
      onClose={onClose}
      onConfirm={async (reason) => {
        await (activates ? activateModel(model.name, model.version, reason) : rollBackModel(model.name, reason));
        await onDone();
      }}
    >
      <p>
        {activates
          ? 'All cameras are analysed with this version from the next frame on. The one before can be brought back.'
          : 'All cameras are analysed with the version that was active before.'}
      </p>
      <CommandLine
        line={curlLine(
          location.origin,
          'POST',
          path,
          activates ? { version: model.version, reason: 'why' } : { reason: 'why' },
        )}
      />
    </Confirm>
  );
}
