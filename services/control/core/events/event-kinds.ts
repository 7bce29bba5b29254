import { AppError } from '#shared/core/errors';
import { closestName } from '#shared/core/closest-name';

/** INFO: as it should be. NOTICE: worth a look. ALERT: somebody has to do something. */
export type EventSeverity = 'INFO' | 'NOTICE' | 'ALERT';

interface KindRules {
  readonly severity: EventSeverity;
  /** Whether a picture of the moment is worth having; only for kinds that frames follow on. */
  readonly hasStill: boolean;
  readonly text: string;
}

const plain = { severity: 'INFO', hasStill: false } as const;

/** Every kind of event there is. A new one is a line here and a function that makes it; the API, the command line and the page take it from here. */
export const eventKinds = {
  'camera.online': { severity: 'INFO', hasStill: true, text: 'frames arrive' },
  'camera.degraded': { severity: 'NOTICE', hasStill: true, text: 'frames arrive, but something is wrong with them' },
  'camera.offline': { severity: 'ALERT', hasStill: false, text: 'lost; it is tried again' },
  'camera.rejected': { severity: 'ALERT', hasStill: false, text: 'not tried again without a change' },
  'camera.ended': { ...plain, text: 'came to its end, or was stopped' },
  'registration.added': { ...plain, text: 'registered' },
  'registration.changed': { ...plain, text: 'its registration was changed' },
  'registration.removed': { ...plain, text: 'removed' },
  'model.activated': { ...plain, text: 'works from now on' },
  'model.shadow': { ...plain, text: 'looks on beside the active model' },
  'model.canary': { ...plain, text: 'works on a share of the cameras' },
  'model.promoted': { ...plain, text: 'the candidate became the active model' },
  'model.rolled_back': { severity: 'NOTICE', hasStill: false, text: 'was taken back' },
  'model.gate_failed': {
    severity: 'ALERT',
    hasStill: false,
    text: 'did worse than its gate allows and was taken back',
  },
  'model.retired': { ...plain, text: 'out of use' },
  'drift.started': {
    severity: 'NOTICE',
    hasStill: true,
    text: 'what it shows, or what the model sees there, is not what it was',
  },
  'drift.ended': { ...plain, text: 'as it was before' },
} as const satisfies Readonly<Record<string, KindRules>>;

export type EventKind = keyof typeof eventKinds;

export const kindNames = Object.keys(eventKinds) as readonly EventKind[]; // the keys of the table

/** `camera` of `camera.online`. */
const groups: ReadonlySet<string> = new Set(kindNames.map(groupOf));

function groupOf(kind: string): string {
  return kind.slice(0, kind.indexOf('.'));
}

export function rulesOf(kind: EventKind): KindRules {
  return eventKinds[kind];
}

/** `camera,model.gate_failed`: kinds, or groups of them. Throws SIGHTLINE_REQUEST_INVALID for one that there is not. */
export function parseKinds(text: string): readonly EventKind[] {
  const wanted = text.split(',').map((one) => one.trim());
  for (const name of wanted) {
    if (groups.has(name) || kindNames.some((kind) => kind === name)) continue;
    const close = closestName(name, [...groups, ...kindNames]);
    throw new AppError(
      'SIGHTLINE_REQUEST_INVALID',
      `there is no kind of event named so${close === undefined ? '' : `; ${close} perhaps`}`,
      { action: `Give one or more of: ${[...groups, ...kindNames].join(', ')}.` },
    );
  }
  return kindNames.filter((kind) => wanted.includes(kind) || wanted.includes(groupOf(kind)));
}
