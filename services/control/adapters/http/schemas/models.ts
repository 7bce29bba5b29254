import { Type } from 'typebox';
import { CameraId, NextCursor, nullable, strict } from './common.ts';

const Name = Type.String({ pattern: '^[a-z0-9][a-z0-9._-]{0,63}$' });
const Version = Type.String({ minLength: 1, maxLength: 64, pattern: '^[^/@#]+$' });
const share = { minimum: 0, maximum: 1 } as const;
const Verdict = Type.Enum(['pass', 'fail', 'pending']);

export const ModelVersion = strict(
  {
    name: Type.String(),
    version: Type.String(),
    state: Type.Enum(['REGISTERED', 'SHADOW', 'CANARY', 'ACTIVE', 'RETIRED', 'ROLLED_BACK']),
    details: Type.Record(Type.String(), Type.Union([Type.String(), Type.Number(), Type.Boolean(), Type.Null()])),
  },
  { title: 'ModelVersion' },
);
export const ModelList = strict({ items: Type.Array(ModelVersion) }, { title: 'ModelList' });
export const ModelParams = strict({ name: Name, version: Version });

export const ModelReference = strict(
  { name: Type.String(), version: Type.String(), digest: Type.String({ description: 'sha256 of the file.' }) },
  { title: 'ModelReference' },
);

const gateFields = {
  min_frames: Type.Integer({
    minimum: 1,
    maximum: 10_000_000,
    description: 'Frames of the candidate before it can pass.',
  }),
  min_objects: Type.Integer({
    minimum: 0,
    maximum: 10_000_000,
    description: 'Objects that either model saw before agreement counts.',
  }),
  max_error_rate: Type.Number({ ...share, description: 'Most failed frames, of those that it was given.' }),
  max_latency_ratio: Type.Number({
    exclusiveMinimum: 0,
    maximum: 1000,
    description: 'Most time of a frame at the 95th percentile, as a multiple of that of the active model.',
  }),
  min_agreement: Type.Number({ ...share, description: 'Least agreement with the active model; 0 asks for none.' }),
  max_drop_increase: Type.Number({
    ...share,
    description: 'Most frames dropped on its cameras above the others, as a share of those received.',
  }),
};
export const GateRules = strict(gateFields, { title: 'GateRules' });

export const RolloutStep = strict(
  {
    revision: Type.Integer(),
    time: Type.String(),
    action: Type.Enum(['activate', 'shadow', 'canary', 'promote', 'rollback', 'retire']),
    model: ModelReference,
    by: Type.String({ description: 'Name of a token or user; `gate`: the gate, `start`: the start of a process.' }),
    reason: Type.String(),
    share: Type.Number(),
    cameras: nullable(Type.Array(Type.String())),
    gate: nullable(GateRules),
  },
  { title: 'RolloutStep' },
);

const Candidate = strict(
  {
    model: ModelReference,
    mode: Type.Enum(['shadow', 'canary']),
    share: Type.Number({ description: 'Of the cameras, where none are named.' }),
    cameras: nullable(Type.Array(Type.String(), { description: 'Those that were named.' })),
    covered_cameras: Type.Array(Type.String(), { description: 'Those that it works on now.' }),
    since: Type.String(),
    gate: GateRules,
    verdict: Verdict,
    reason: Type.String(),
    checks: Type.Array(
      strict({
        name: Type.String(),
        verdict: Verdict,
        value: nullable(Type.Number()),
        limit: Type.Number(),
        text: Type.String(),
      }),
    ),
    compared_frames: Type.Integer({ description: 'Frames that both models looked at.' }),
    agreement: nullable(Type.Number({ description: '0..1 over all classes and cameras.' })),
    rows: Type.Array(
      strict(
        {
          camera_id: Type.String(),
          class_name: Type.String(),
          matched: Type.Integer({ description: 'Objects that both saw.' }),
          only_active: Type.Integer(),
          only_candidate: Type.Integer(),
          agreement: nullable(Type.Number()),
        },
        { title: 'AgreementRow' },
      ),
    ),
  },
  { title: 'ModelCandidate' },
);

export const Rollout = strict(
  {
    revision: Type.Integer({ description: 'Rises with each step.' }),
    active: nullable(ModelReference),
    previous: nullable(ModelReference),
    candidate: nullable(Candidate),
  },
  { title: 'Rollout' },
);

const reason = Type.Optional(Type.String({ minLength: 1, maxLength: 500, description: 'Why; kept in the history.' }));
const force = Type.Optional(
  Type.Boolean({ description: 'Also where the gate has not passed, or the version was retired. Default false.' }),
);
export const StepRequest = strict({ reason, force }, { title: 'ModelStepRequest' });
export const CandidateRequest = strict(
  {
    reason,
    force,
    share: Type.Optional(Type.Number({ ...share, description: 'Of the cameras. Default 0.1.' })),
    cameras: Type.Optional(Type.Array(CameraId, { minItems: 1, maxItems: 10_000, description: 'Instead of a share.' })),
    gate: Type.Optional(Type.Partial(Type.Object(gateFields), { additionalProperties: false })),
  },
  { title: 'ModelCandidateRequest' },
);
export const StepAnswer = strict({ step: RolloutStep, rollout: Rollout }, { title: 'ModelStepAnswer' });
export const StepPage = strict(
  { items: Type.Array(RolloutStep), next_cursor: NextCursor },
  { title: 'RolloutHistory' },
);
export const ModelDetails = strict(
  { model: ModelVersion, history: Type.Array(RolloutStep, { description: 'Steps that it was in, newest first.' }) },
  { title: 'ModelDetails' },
);
