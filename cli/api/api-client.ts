import createClient, { type Client } from 'openapi-fetch';
import { errorCatalogue, type ErrorCode } from '#shared/core/error-catalogue';
import { AppError } from '#shared/core/errors';
import { findApi, type ApiAddress, type ApiFlags } from './api-address.ts';
import type { components, paths } from './api-types.ts';

export type Schemas = components['schemas'];

/** A refusal by the API; `problem` holds what it told besides: the verdict on a camera, the numbers of what is left. */
export class ApiFailure extends AppError {
  readonly problem: Schemas['Problem'];

  constructor(code: ErrorCode, problem: Schemas['Problem'], action: string) {
    const errors = (problem.errors ?? []).map(({ path, reason }) => `${path} ${reason}`);
    super(code, [problem.detail, ...errors].join('; '), { action, retryable: problem.retryable });
    this.problem = problem;
  }
}

export interface Api extends ApiAddress {
  /** Made of docs/openapi.json: paths, bodies and answers are those of the document. */
  readonly client: Client<paths>;
}

interface ApiCallResult<Data> {
  readonly data?: Data;
  readonly error?: unknown;
  readonly response: Response;
}

/** The longest answer is that of an import of thousands of cameras. */
const answerTimeoutMs = 60_000;
export const eventStreamType = 'text/event-stream';

export async function openApi(flags: ApiFlags): Promise<Api> {
  const address = await findApi(flags, process.env);
  const client = createClient<paths>({
    baseUrl: address.url,
    headers: address.token === undefined ? {} : { authorization: `Bearer ${address.token}` },
    // A redirect would carry the token to wherever it leads.
    redirect: 'error',
    fetch: (request) => fetchAnswer(request, address),
  });
  return { ...address, client };
}

/** The answer of a call that went well. Throws ApiFailure for a refusal. */
export async function answerOf<Data>(api: Api, call: Promise<ApiCallResult<Data>>): Promise<Data> {
  const { data, error, response } = await call;
  if (!response.ok) throw failureOf(api, response, error);
  return data as Data; // what the document says of an answer that is well
}

function failureOf(api: ApiAddress, response: Response, problem: unknown): AppError {
  if (!isProblem(problem)) return notSightline(api, `it answered with status ${response.status}`);
  const { code } = problem;
  if (response.status === 401 && api.token === undefined) {
    return new AppError('SIGHTLINE_API_TOKEN_MISSING', `the API at ${api.url} asks for a token`);
  }
  if (!isKnownCode(code)) return new ApiFailure('SIGHTLINE_API_ANSWER', problem, problem.action);
  const action =
    code === 'SIGHTLINE_UNAUTHENTICATED' ? errorCatalogue.SIGHTLINE_API_TOKEN_MISSING.action : problem.action;
  return new ApiFailure(code, problem, action);
}

async function fetchAnswer(request: Request, api: ApiAddress): Promise<Response> {
  const limit = new AbortController();
  const timer = setTimeout(() => limit.abort(), answerTimeoutMs);
  // A command that has everything else may end.
  timer.unref();
  try {
    const response = await fetch(request, { signal: AbortSignal.any([request.signal, limit.signal]) });
    const type = response.headers.get('content-type') ?? '';
    if (type.startsWith(eventStreamType)) clearTimeout(timer);
    else if (response.status !== 204 && !/^application\/(?:[\w.]+\+)?json/.test(type)) {
      await response.body?.cancel();
      throw notSightline(api, `it answered with status ${response.status} and ${type === '' ? 'nothing' : type}`);
    }
    return response;
  } catch (error) {
    if (error instanceof AppError || request.signal.aborted) throw error;
    if (limit.signal.aborted) {
      throw new AppError('SIGHTLINE_API_UNREACHABLE', `${api.url} did not answer within ${answerTimeoutMs / 1000} s`);
    }
    throw unreachable(api, error);
  }
}

function unreachable(api: ApiAddress, error: unknown): AppError {
  const cause = error instanceof Error ? error.cause : undefined;
  const code = cause instanceof Error && 'code' in cause ? ` (${String(cause.code)})` : '';
  return new AppError('SIGHTLINE_API_UNREACHABLE', `no Sightline API at ${api.url}${code}`, { cause: error });
}

function notSightline({ url }: ApiAddress, reason: string): AppError {
  return new AppError('SIGHTLINE_API_ANSWER', `what listens at ${url} is not the API of Sightline: ${reason}`);
}

function isProblem(body: unknown): body is Schemas['Problem'] {
  return typeof body === 'object' && body !== null && 'code' in body && 'detail' in body && 'action' in body;
}

function isKnownCode(code: string): code is ErrorCode {
  return Object.hasOwn(errorCatalogue, code);
}
