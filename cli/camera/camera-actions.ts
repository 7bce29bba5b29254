import { AppError } from '#shared/core/errors';
import { answerOf, ApiFailure, openApi, type Api, type Schemas } from '../api/api-client.ts';
import type { ApiFlags } from '../api/api-address.ts';
import { readPages } from '../api/read-pages.ts';
import { print } from '../results/output.ts';
import { parseCameraFlag, readPassword, substituteVariables } from '../run/camera-specs.ts';
import type { CameraActions, SettingFlags, TopicFlags } from './camera-flags.ts';
import { cameraTable, cameraText, stateOf } from './camera-text.ts';
import { costText, stepText, verdictText, type CostShown, type StepShown, type VerdictShown } from './verdict-text.ts';

type Camera = Schemas['Camera'];
type Settings = Pick<
  Schemas['CameraPatch'],
  'fps' | 'filter' | 'transport' | 'priority' | 'password' | 'loop' | 'allow_http' | 'tls_insecure'
>;

export const apiActions: CameraActions = { list: listCameras, add: addCamera, remove: removeCameras };

export async function readCameras(api: Api): Promise<readonly Camera[]> {
  return readPages((cursor) =>
    answerOf(api, api.client.GET('/api/v1/cameras', { params: { query: { limit: 500, ...cursor } } })),
  );
}

async function listCameras(flags: ApiFlags & { readonly state?: string; readonly json?: true }): Promise<void> {
  const all = await readCameras(await openApi(flags));
  const state = flags.state?.toUpperCase();
  const cameras = state === undefined ? all : all.filter((camera) => stateOf(camera) === state);
  await print(flags.json === true ? json(cameras) : cameraTable(cameras));
}

export async function showCamera(id: string, flags: SettingFlags): Promise<void> {
  const api = await openApi(flags);
  const params = { params: { path: { id } } };
  const [camera, accounting] = await Promise.all([
    answerOf(api, api.client.GET('/api/v1/cameras/{id}', params)),
    answerOf(api, api.client.GET('/api/v1/cameras/{id}/accounting', params)),
  ]);
  await print(flags.json === true ? json({ ...camera, accounting }) : cameraText(camera, accounting));
}

async function addCamera(text: string, flags: TopicFlags): Promise<void> {
  const api = await openApi(flags);
  const [id, { url }] = parseCameraFlag(text);
  const tags = tagsOf(flags.tag ?? [], {});
  const body: Schemas['NewCamera'] = {
    ...{ id, url: substituteVariables(id, url, process.env), ...settingsOf(id, flags) },
    ...(Object.keys(tags).length === 0 ? {} : { tags }),
    ...(flags.saveAnyway === undefined ? {} : { save_anyway: true }),
    ...(flags.probe === false ? { probe: false } : {}),
  };
  try {
    const answer = await answerOf(api, api.client.POST('/api/v1/cameras', { body }));
    const { camera, verdict } = answer;
    const told = verdict === null ? '' : verdict.steps.map(stepText).join('') + verdictText(verdict);
    await print(flags.json === true ? json(answer) : `${told}${costText(answer)}${camera.id}: registered\n`);
  } catch (error) {
    if (error instanceof ApiFailure) await tellRefusal(error.problem, flags.json === true);
    throw error;
  }
}

/** What a refusal tells besides its reason. */
async function tellRefusal(problem: Schemas['Problem'], asJson: boolean): Promise<void> {
  // Members that the codes of a refused camera have; each may be absent or null.
  const {
    verdict,
    cost = null,
    capacity = null,
  } = problem as unknown as Partial<CostShown> & {
    readonly verdict?: (VerdictShown & { readonly steps: readonly StepShown[] }) | null;
  };
  if (verdict == null && cost === null) return;
  if (asJson) {
    await print(json({ verdict: verdict ?? null, cost, capacity }));
    return;
  }
  process.stderr.write((verdict?.steps ?? []).map(stepText).join('') + costText({ cost, capacity }));
}

export async function setCamera(id: string, flags: SettingFlags): Promise<void> {
  const api = await openApi(flags);
  const params = { path: { id } };
  const { address, ifVersion } = flags;
  let version = ifVersion;
  const patch: Schemas['CameraPatch'] = {
    ...settingsOf(id, flags),
    ...(address === undefined ? {} : { url: substituteVariables(id, address, process.env) }),
  };
  if ((flags.tag ?? []).length > 0) {
    // Tags are replaced as a whole: those that are there are read first, and nobody may change them in between.
    const camera = await answerOf(api, api.client.GET('/api/v1/cameras/{id}', { params }));
    version ??= camera.version;
    patch.tags = tagsOf(flags.tag ?? [], camera.tags);
  }
  if (Object.keys(patch).length === 0) throw new AppError('SIGHTLINE_USAGE', 'nothing to change was given');
  if (flags.saveAnyway === true) patch.save_anyway = true;
  if (flags.probe === false) patch.probe = false;
  const header = version === undefined ? {} : { 'if-match': `"${version}"` };
  try {
    const change = api.client.PATCH('/api/v1/cameras/{id}', { params: { ...params, header }, body: patch });
    const camera = await answerOf(api, change);
    await print(flags.json === true ? json(camera) : `${id}: changed, version ${camera.version}\n`);
  } catch (error) {
    if (error instanceof ApiFailure) await tellRefusal(error.problem, flags.json === true);
    throw error;
  }
}

async function removeCameras(ids: readonly string[], flags: ApiFlags): Promise<void> {
  const api = await openApi(flags);
  for (const id of ids) {
    await answerOf(api, api.client.DELETE('/api/v1/cameras/{id}', { params: { path: { id } } }));
    await print(`${id}: removed\n`);
  }
}

export async function switchCameras(
  ids: readonly string[],
  action: 'enable' | 'disable',
  flags: ApiFlags,
): Promise<void> {
  const api = await openApi(flags);
  for (const id of ids) {
    await answerOf(api, api.client.POST(`/api/v1/cameras/{id}/${action}`, { params: { path: { id } } }));
    await print(`${id}: ${action}d\n`);
  }
}

export async function exportCameras(flags: ApiFlags): Promise<void> {
  const api = await openApi(flags);
  await print(json(await answerOf(api, api.client.GET('/api/v1/cameras:export'))));
}

function settingsOf(id: string, flags: SettingFlags): Settings {
  const { fps, filter, transport, priority, passwordFile, password, loop, allowHttp, tlsInsecure } = flags;
  return {
    ...(fps === undefined ? {} : { fps }),
    ...(filter === undefined ? {} : { filter }),
    ...(transport === undefined ? {} : { transport }),
    ...(priority === undefined ? {} : { priority }),
    ...(password === undefined ? {} : { password }),
    ...(passwordFile === undefined ? {} : { password: readPassword(id, passwordFile) }),
    ...(loop === undefined ? {} : { loop }),
    ...(allowHttp === undefined ? {} : { allow_http: allowHttp }),
    ...(tlsInsecure === undefined ? {} : { tls_insecure: tlsInsecure }),
  };
}

/** `name=value` sets a tag, `name=` takes it away. */
function tagsOf(texts: readonly string[], before: Readonly<Record<string, string>>): Record<string, string> {
  const tags = new Map(Object.entries(before));
  for (const text of texts) {
    const equals = text.indexOf('=');
    if (equals < 1) throw new AppError('SIGHTLINE_USAGE', '--tag takes NAME=VALUE');
    const name = text.slice(0, equals);
    const value = text.slice(equals + 1);
    if (value === '') tags.delete(name);
    else tags.set(name, value);
  }
  return Object.fromEntries(tags);
}

function json(value: unknown): string {
  return `${JSON.stringify(value, null, 2)}\n`;
}
