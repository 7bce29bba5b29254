import { readFile } from 'node:fs/promises';
import { userInfo } from 'node:os';
import { join, resolve } from 'node:path';
import { errorCatalogue, type ErrorCode } from '#shared/core/error-catalogue';
import { AppError } from '#shared/core/errors';
import { createRolloutController } from '#shared/core/rollout/rollout-controller';
import { modelKey, type RolloutAction } from '#shared/core/rollout/rollout-state';
import { systemClock } from '#shared/runtime/system-clock';
import { createSqliteRolloutLog } from '#shared/store/sqlite-rollout-log';
import {
  gateOf,
  rolloutView,
  stepView,
  versionViews,
  type GateRulesView,
  type ModelVersionView,
  type RolloutView,
  type StepView,
} from '../../services/control/core/model-views.ts';
import { createModelLibrary } from '../../services/inference/adapters/model-files/model-library.ts';
import { findApi, type ApiAddress } from '../api/api-address.ts';
import { defaultStateDirectory, modelDirectories, modelKeyFile } from '../model-directories.ts';
import { listModelEntries } from './model-entries.ts';
import { silentLogger } from './silent-logger.ts';

export interface RolloutDeskFlags {
  readonly url?: string;
  readonly tokenFile?: string;
  readonly stateDir?: string;
  readonly modelsDir?: string;
  readonly offline?: true;
}

export interface StepOptions {
  readonly action: RolloutAction;
  /** NAME, where there is one version of it, or NAME@VERSION. */
  readonly model?: string;
  readonly share?: number;
  readonly cameras?: readonly string[];
  readonly gate: Partial<GateRulesView>;
  readonly reason?: string;
  readonly force: boolean;
}

/** Where steps of a roll-out are made: at a pipeline that runs, or in the state folder for the next start. */
export interface RolloutDesk {
  /** In words, for the answer. */
  readonly place: string;
  models(): Promise<readonly ModelVersionView[]>;
  rollout(): Promise<RolloutView>;
  /** Newest first. */
  history(limit: number): Promise<readonly StepView[]>;
  make(step: StepOptions): Promise<StepView>;
  close(): Promise<void>;
}

type Environment = Readonly<Record<string, string | undefined>>;

const answerTimeoutMs = 60_000;
const knockTimeoutMs = 2_000;

/** A run that uses this state folder has left its address there; without one, what is on disk is changed for the next start. */
export async function openRolloutDesk(flags: RolloutDeskFlags, environment: Environment): Promise<RolloutDesk> {
  const stateDir = resolve(flags.stateDir ?? environment['SIGHTLINE_STATE_DIR'] ?? defaultStateDirectory(environment));
  const named = flags.url ?? environment['SIGHTLINE_API'];
  if (flags.offline !== true) {
    const here = { ...environment, SIGHTLINE_STATE_DIR: stateDir };
    if (named !== undefined) return apiDesk(await findApi(flags, here));
    const left = await firstLine(join(stateDir, 'local-api'));
    if (left !== undefined && (await answers(left))) {
      const address = await findApi({ ...flags, url: left }, here);
      // The address is one that the run itself has left, so it gets its token even where it is not one of loopback.
      const token = address.token ?? (await firstLine(join(stateDir, 'local-token')));
      return apiDesk({ url: address.url, ...(token === undefined ? {} : { token }) });
    }
    if ((environment['KAFKA_BROKERS'] ?? '') !== '') {
      throw new AppError('SIGHTLINE_USAGE', 'services on Kafka do not read the roll-out of the state folder', {
        action: 'Name their API by --url or SIGHTLINE_API, or say --offline for a run of this machine.',
      });
    }
  }
  return diskDesk(stateDir, flags);
}

async function firstLine(file: string): Promise<string | undefined> {
  const text = await readFile(file, 'utf8').catch(() => '');
  const line = text.trim();
  return line === '' ? undefined : line;
}

/** A run that was killed leaves its address behind. */
async function answers(url: string): Promise<boolean> {
  return fetch(`${url}/healthz`, { signal: AbortSignal.timeout(knockTimeoutMs) }).then(
    ({ ok }) => ok,
    () => false,
  );
}

function apiDesk({ url, token }: ApiAddress): RolloutDesk {
  if (token === undefined) {
    throw new AppError('SIGHTLINE_USAGE', 'the API asks for a token', {
      action: 'Give it by --token-file or SIGHTLINE_TOKEN.',
    });
  }
  const root = `${url}/api/v1/models`;
  const call = async (path: string, body?: unknown): Promise<unknown> => {
    let response: Response;
    try {
      response = await fetch(`${root}${path}`, {
        headers: {
          authorization: `Bearer ${token}`,
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        },
        ...(body === undefined ? {} : { method: 'POST', body: JSON.stringify(body) }),
        redirect: 'error',
        signal: AbortSignal.timeout(answerTimeoutMs),
      });
    } catch (cause) {
      throw new AppError('SIGHTLINE_USAGE', `the API at ${url} does not answer`, {
        cause,
        action: 'Check --url, and that the pipeline runs.',
      });
    }
    const answer: unknown = await response.json().catch(() => ({}));
    if (!response.ok) throw failureOf(answer, response.status);
    return answer;
  };
  // Answers are of our own document, which a test holds the routes to.
  const models = async () => ((await call('')) as { items: ModelVersionView[] }).items;
  return {
    place: url,
    models,
    rollout: async () => (await call('/rollout')) as RolloutView,
    history: async (limit) => ((await call(`/history?limit=${limit}`)) as { items: StepView[] }).items,
    async make({ action, model, share, cameras, gate, reason, force }) {
      const path = model === undefined ? `/${action}` : pathOf(pickModel(await models(), model), action);
      const isCandidate = action === 'shadow' || action === 'canary';
      const { step } = (await call(path, {
        ...(reason === undefined ? {} : { reason }),
        ...(force ? { force } : {}),
        ...(isCandidate ? { ...(share === undefined ? {} : { share }), ...(cameras && { cameras }), gate } : {}),
      })) as { step: StepView };
      return step;
    },
    close: () => Promise.resolve(),
  };
}

function pathOf({ name, version }: ModelVersionView, action: RolloutAction): string {
  return `/${encodeURIComponent(name)}/${encodeURIComponent(version)}/${action}`;
}

function failureOf(answer: unknown, status: number): AppError {
  const problem = (typeof answer === 'object' && answer !== null ? answer : {}) as Readonly<Record<string, unknown>>;
  const { code, detail, action } = problem;
  if (typeof code !== 'string' || !Object.hasOwn(errorCatalogue, code))
    return new AppError('SIGHTLINE_USAGE', `the API answered with status ${status}`);
  return new AppError(code as ErrorCode, String(detail), typeof action === 'string' ? { action } : {}); // just looked up
}

async function diskDesk(stateDir: string, flags: RolloutDeskFlags): Promise<RolloutDesk> {
  const library = createModelLibrary({
    directories: modelDirectories({ modelsDir: flags.modelsDir, stateDir }, process.env),
    publicKeyFile: modelKeyFile(process.env),
  });
  const controller = createRolloutController({
    log: createSqliteRolloutLog(stateDir),
    judges: false,
    clock: systemClock,
    logger: silentLogger,
  });
  await controller.open();
  const models = async () => versionViews(await listModelEntries(library), controller.state(), undefined);
  return {
    place: `${stateDir}, for the next start`,
    models,
    rollout: () => Promise.resolve(rolloutView(controller.state(), undefined, { cameras: [], isVisible: () => true })),
    history: (limit) => Promise.resolve([...controller.history()].reverse().slice(0, limit).map(stepView)),
    async make({ action, model, share, cameras, gate, reason, force }) {
      const picked = model === undefined ? undefined : pickModel(await models(), model);
      if (picked !== undefined && action !== 'retire' && action !== 'rollback') await library.load(modelKey(picked));
      const step = await controller.execute({
        ...{ action, by: userName(), force },
        ...(picked === undefined
          ? {}
          : { model: { name: picked.name, version: picked.version, digest: String(picked.details['digest']) } }),
        ...(share === undefined ? {} : { share }),
        ...(cameras === undefined ? {} : { cameras }),
        ...(reason === undefined ? {} : { reason }),
        gate: gateOf(gate),
      });
      return stepView(step);
    },
    close: () => controller.close(),
  };
}

function userName(): string {
  try {
    return userInfo().username;
  } catch {
    // A container may run as a user that has no name.
    return process.env['USER'] ?? String(process.getuid?.() ?? 'command');
  }
}

/** yolox-nano, YOLOX_NANO: one name. Without a version it has to be the only one of its name. */
export function pickModel(models: readonly ModelVersionView[], text: string): ModelVersionView {
  const plain = (name: string): string => name.toLowerCase().replaceAll('_', '-');
  const [name = '', version] = text.split('@').map(plain);
  const named = models.filter(
    (model) => plain(model.name) === name && (version === undefined || plain(model.version) === version),
  );
  const [first] = named;
  if (first === undefined) throw new AppError('SIGHTLINE_MODEL_NOT_FOUND', `there is no model '${text}'`);
  if (named.length === 1) return first;
  throw new AppError(
    'SIGHTLINE_USAGE',
    `there are ${named.length} versions of ${first.name}: ${named.map((each) => each.version).join(', ')}`,
    { action: 'Name one of them as NAME@VERSION.' },
  );
}
