import { readToken } from './token.ts';
import { record, text } from './read.ts';

const timeoutMs = 15_000;

/** A refusal of the API (problem+json), or no answer at all. */
export class ApiError extends Error {
  readonly status: number;
  readonly code: string | undefined;
  readonly action: string | undefined;
  readonly problem: unknown;

  constructor(status: number, problem: unknown, fallback: string) {
    const body = record(problem);
    super(text(body['detail']) ?? text(body['title']) ?? fallback);
    this.name = 'ApiError';
    this.status = status;
    this.code = text(body['code']);
    this.action = text(body['action']);
    this.problem = problem;
  }
}

export interface Answer {
  readonly body: unknown;
  readonly etag: string | undefined;
}

export interface RequestOptions {
  readonly method?: string;
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal;
}

export function authorisation(): Record<string, string> {
  const token = readToken();
  return token === undefined ? {} : { authorization: `Bearer ${token}` };
}

/** Throws ApiError for every answer but 2xx. */
export async function request(path: string, options: RequestOptions = {}): Promise<Answer> {
  const response = await send(path, options);
  const body = await readBody(response);
  if (!response.ok) throw new ApiError(response.status, body, `the server answered ${response.status}`);
  return { body, etag: response.headers.get('etag') ?? undefined };
}

/** The body as it comes, for pictures and streams. */
export async function send(path: string, options: RequestOptions = {}): Promise<Response> {
  const { method = 'GET', body, headers, signal } = options;
  const limit = AbortSignal.timeout(timeoutMs);
  try {
    return await fetch(path, {
      method,
      headers: {
        accept: 'application/json',
        ...authorisation(),
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...headers,
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      signal: signal === undefined ? limit : AbortSignal.any([limit, signal]),
    });
  } catch (error) {
    const late = error instanceof DOMException && error.name === 'TimeoutError';
    throw new ApiError(0, undefined, late ? 'the server did not answer in time' : 'the server cannot be reached');
  }
}

async function readBody(response: Response): Promise<unknown> {
  const type = response.headers.get('content-type') ?? '';
  if (response.status === 204 || !type.includes('json')) return undefined;
  try {
    return (await response.json()) as unknown;
  } catch {
    return undefined;
  }
}
