import type {
  AuditEntry,
  Camera,
  Geometry,
  Me,
  ModelVersion,
  Rollout,
  SystemSection,
  SystemView,
  Token,
  Verdict,
} from '../core/types.ts';
import * as decode from './decode.ts';
import { list, record, text } from './read.ts';
import { ApiError, request } from './request.ts';
import type { Schemas } from './schemas.ts';

// Answers are what docs/openapi.json says of them: the casts below are of its generated types.

const root = '/api/v1';

export const cameraPath = (id: string): string => `${root}/cameras/${encodeURIComponent(id)}`;
export const paths = {
  cameras: `${root}/cameras`,
  probe: `${root}/cameras:probe`,
  models: `${root}/models`,
  system: `${root}/system`,
  audit: `${root}/audit`,
  tokens: `${root}/tokens`,
  me: `${root}/me`,
} as const;

/** More cameras than this are not asked for at once; the list goes on by its cursor. */
const pageSize = 200;
const maxPages = 50;

export async function readMe(): Promise<Me> {
  const { name, role } = (await request(paths.me)).body as Schemas['Me'];
  return { name, role };
}

export async function listCameras(): Promise<readonly Camera[]> {
  return (await readCameraPages()).map((one) => decode.camera(one));
}

async function readCameraPages(): Promise<readonly Schemas['Camera'][]> {
  const items: Schemas['Camera'][] = [];
  let cursor: string | null = null;
  for (let page = 0; page < maxPages; page += 1) {
    const query = `?limit=${pageSize}${cursor === null ? '' : `&cursor=${encodeURIComponent(cursor)}`}`;
    const answer = (await request(`${paths.cameras}${query}`)).body as Schemas['CameraPage'];
    items.push(...answer.items);
    cursor = answer.next_cursor;
    if (cursor === null) break;
  }
  return items;
}

export async function readCamera(id: string): Promise<Camera> {
  const { body, etag } = await request(cameraPath(id));
  return decode.camera(body as Schemas['Camera'], etag);
}

export interface CameraChange {
  readonly fps?: number;
  readonly enabled?: boolean;
  /** Replaced as a whole. */
  readonly geometry?: Geometry;
}

export async function changeCamera(id: string, change: CameraChange, etag: string | undefined): Promise<Camera> {
  const answer = await request(cameraPath(id), {
    method: 'PATCH',
    body: change,
    headers: etag === undefined ? {} : { 'if-match': etag },
  });
  return decode.camera(answer.body as Schemas['Camera'], answer.etag);
}

export async function removeCamera(id: string, etag: string | undefined): Promise<void> {
  await request(cameraPath(id), { method: 'DELETE', headers: etag === undefined ? {} : { 'if-match': etag } });
}

/** Where a camera is; its password goes one way only. */
export interface CameraAddress {
  readonly url: string;
  readonly password?: string;
}

/** What the API says of a camera that is not registered yet; a refusal with a code is a verdict too. */
export async function probeUrl(address: CameraAddress, signal: AbortSignal): Promise<Verdict> {
  try {
    const { body } = await request(paths.probe, {
      method: 'POST',
      body: { ...address } satisfies Schemas['ProbeRequest'],
      signal,
    });
    return decode.verdict(body as Schemas['ProbeAnswer']);
  } catch (error) {
    // An address that may not even be tried, or cannot be read, is a verdict as well.
    if (error instanceof ApiError && [400, 409, 422].includes(error.status)) return decode.verdict(refusalOf(error));
    throw error;
  }
}

/** The verdict that a refusal to register carries; undefined where it was refused for another reason. */
export function verdictOf(error: ApiError): Verdict | undefined {
  const told = refusalOf(error);
  return told.verdict === undefined && told.capacity === undefined ? undefined : decode.verdict(told);
}

/** A problem may come from a proxy, in any shape. */
function refusalOf({ problem }: ApiError): decode.VerdictAnswer {
  return record(problem);
}

export interface NewCamera extends CameraAddress {
  readonly id: string;
  /** Keep it though it does not work now. */
  readonly save_anyway?: boolean;
}

export async function addCamera(camera: NewCamera): Promise<Camera> {
  const answer = await request(paths.cameras, {
    method: 'POST',
    body: camera,
    headers: { 'idempotency-key': crypto.randomUUID() },
  });
  return decode.camera((answer.body as Schemas['CameraCreated']).camera, answer.etag);
}

export async function listModels(): Promise<readonly ModelVersion[]> {
  return ((await request(paths.models)).body as Schemas['ModelList']).items.map(decode.modelVersion);
}

export async function readRollout(): Promise<Rollout> {
  return decode.rollout((await request(`${paths.models}/rollout`)).body as Schemas['Rollout']);
}

export type ModelAction = 'activate' | 'shadow' | 'canary' | 'promote' | 'rollback' | 'retire';

export interface ModelStep {
  readonly action: ModelAction;
  readonly name: string;
  readonly version: string;
  /** Of the cameras, 0..1; for shadow and canary. */
  readonly share: number | undefined;
}

/** Every step names its version: what the page shows may have changed a moment ago, and then the step is refused. */
export async function makeStep({ action, name, version, share }: ModelStep, reason: string): Promise<void> {
  await request(`${paths.models}/${encodeURIComponent(name)}/${encodeURIComponent(version)}/${action}`, {
    method: 'POST',
    body: { reason, ...(share === undefined ? {} : { share }) },
  });
}

/** Shown as it is told: a heading for each object, a line for each value. The topics get their consumer line. */
export async function readSystem(): Promise<SystemView> {
  const body = (await request(paths.system)).body as Schemas['System'];
  const plainRows: [string, string][] = [];
  const sections: SystemSection[] = [];
  for (const [name, value] of Object.entries(body)) {
    if (name === 'topics') continue;
    if (Array.isArray(value)) {
      sections.push({
        title: name,
        rows: list(value).map((one, index) => {
          const { name: own, id, ...rest } = record(one);
          return [text(own) ?? text(id) ?? String(index + 1), rowText(rest, one)] as const;
        }),
      });
    } else if (typeof value === 'object' && value !== null) {
      sections.push({
        title: name,
        rows: Object.entries(value).map(([key, one]) => [key, decode.plain(one)] as const),
      });
    } else plainRows.push([name, decode.plain(value)]);
  }
  return {
    sections: [{ title: 'This run', rows: plainRows }, ...sections].filter((section) => section.rows.length > 0),
    topics: body.topics,
  };
}

function rowText(rest: Readonly<Record<string, unknown>>, whole: unknown): string {
  const entries = Object.entries(rest);
  if (entries.length === 0) return decode.plain(whole);
  return entries.map(([key, value]) => `${key} ${decode.plain(value)}`).join(' · ');
}

export async function listAudit(): Promise<readonly AuditEntry[]> {
  return ((await request(`${paths.audit}?limit=100`)).body as Schemas['AuditPage']).items.map(decode.auditEntry);
}

export async function listTokens(): Promise<readonly Token[]> {
  return ((await request(paths.tokens)).body as Schemas['TokenPage']).items.map(decode.token);
}

/** The secret is told this once. */
export async function createToken(name: string, role: string): Promise<string> {
  const { body } = await request(paths.tokens, { method: 'POST', body: { name, role } });
  return (body as Schemas['TokenCreated']).token;
}

export async function revokeToken(id: string): Promise<void> {
  await request(`${paths.tokens}/${encodeURIComponent(id)}`, { method: 'DELETE' });
}
