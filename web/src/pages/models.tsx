import { listModels, paths } from '../api/api.ts';
import { curlLine } from '../core/command-lines.ts';
import type { ModelVersion } from '../core/types.ts';
import { timeText } from '../core/words.ts';
import { useLoaded } from '../state/use-loaded.ts';
import { CommandLine } from '../ui/command-line.tsx';
import { Problem } from '../ui/notice.tsx';

export function ModelsPage() {
  const { value: models, problem } = useLoaded(listModels, 5_000);
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
              </tr>
            </thead>
            <tbody>
              {models.map((model) => (
                <ModelRow key={`${model.name} ${model.version}`} model={model} />
              ))}
            </tbody>
          </table>
        </div>
      )}
      <CommandLine line={curlLine(location.origin, 'GET', paths.models)} label="This list in a shell" />
    </>
  );
}

function ModelRow({ model }: { readonly model: ModelVersion }) {
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
    </tr>
  );
}
