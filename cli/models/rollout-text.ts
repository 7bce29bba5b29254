import type {
  CandidateView,
  ModelVersionView,
  RolloutView,
  StepView,
} from '../../services/control/core/model-views.ts';
import { textTable } from '../results/text-table.ts';

/** What `models show` prints for people. */
export function rolloutText(rollout: RolloutView, models: readonly ModelVersionView[]): string {
  const name = (model: { readonly name: string; readonly version: string } | null): string =>
    model === null ? '-' : `${model.name}@${model.version}`;
  const lines = [`active     ${name(rollout.active)}`, `previous   ${name(rollout.previous)}`];
  const { candidate } = rollout;
  lines.push(candidate === null ? 'candidate  -' : `candidate  ${name(candidate.model)}, ${modeText(candidate)}`);
  const parts = [`${lines.join('\n')}\n`];
  if (candidate !== null) parts.push(gateText(candidate), agreementText(candidate));
  const left = (title: string, text: (model: ModelVersionView) => string) => ({ title, align: 'left' as const, text });
  parts.push(
    textTable(
      [
        left('model', name),
        left('state', ({ state }) => state.toLowerCase().replace('_', ' ')),
        left('input', ({ details }) => String(details['input'] ?? '-')),
        left('changed', ({ details }) => String(details['changed_at'] ?? '-')),
        left('by', ({ details }) => String(details['changed_by'] ?? '-')),
        left('why', ({ details }) => String(details['change_reason'] ?? '-')),
      ],
      models,
    ),
  );
  return parts.filter((part) => part !== '').join('\n');
}

export function historyText(steps: readonly StepView[]): string {
  if (steps.length === 0) return 'no steps yet\n';
  const left = (title: string, text: (step: StepView) => string) => ({ title, align: 'left' as const, text });
  return textTable(
    [
      { title: 'step', text: ({ revision }: StepView) => String(revision) },
      left('time', ({ time }) => time),
      left('action', ({ action }) => action),
      left('model', ({ model }) => `${model.name}@${model.version}`),
      left('by', ({ by }) => by),
      left('why', ({ reason }) => reason),
    ],
    steps,
  );
}

function modeText({ mode, share, cameras, covered_cameras: covered, since }: CandidateView): string {
  const on = cameras === null ? `${Math.round(share * 1000) / 10} % of the cameras` : cameras.join(', ');
  const now = covered.length === 0 ? 'no camera now' : `now ${covered.slice(0, 8).join(', ')}`;
  return `${mode} on ${on} since ${since} (${now})`;
}

function gateText({ verdict, checks }: CandidateView): string {
  if (checks.length === 0) return `gate       ${verdict}\n`;
  return `gate       ${verdict}\n${checks.map((check) => `  ${check.verdict.padEnd(8)} ${check.text}`).join('\n')}\n`;
}

function agreementText({ rows, compared_frames: frames }: CandidateView): string {
  if (rows.length === 0) return '';
  type Row = (typeof rows)[number];
  const percent = (ratio: number | null): string => (ratio === null ? '-' : `${(ratio * 100).toFixed(1)} %`);
  const table = textTable(
    [
      { title: 'camera', align: 'left', text: (row: Row) => row.camera_id },
      { title: 'class', align: 'left', text: (row: Row) => row.class_name },
      { title: 'both', text: (row: Row) => String(row.matched) },
      { title: 'only active', text: (row: Row) => String(row.only_active) },
      { title: 'only candidate', text: (row: Row) => String(row.only_candidate) },
      { title: 'agreement', text: (row: Row) => percent(row.agreement) },
    ],
    rows,
  );
  return `${table}over ${frames} frames that both looked at\n`;
}
