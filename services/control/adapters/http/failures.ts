import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify';
import type { ErrorCode } from '#shared/core/error-catalogue';
import { AppError } from '#shared/core/errors';
import type { Logger } from '#shared/core/logger';
import { createProblem, type Problem } from '../../core/problem.ts';
import { RequestFailure } from '../../core/request-failure.ts';
import type { HttpApp } from './app.ts';

/** Every failure becomes a problem of RFC 9457 with one of our codes; what we did not foresee is logged and told without its text. */
export function addFailureAnswers(app: HttpApp, logger: Logger): void {
  app.setErrorHandler((error, request, reply) => answer(reply, toProblem(error, request, logger)));
  app.setNotFoundHandler((_request, reply) =>
    answer(reply, createProblem(new AppError('SIGHTLINE_NOT_FOUND', 'there is nothing at that address'))),
  );
}

function answer(reply: FastifyReply, problem: Problem): FastifyReply {
  if (problem.status === 401) void reply.header('www-authenticate', 'Bearer'); // gives the reply itself, to chain on
  if (problem.status === 503 || problem.status === 429) {
    if (!reply.hasHeader('retry-after')) void reply.header('retry-after', problem.status === 429 ? '60' : '5');
  }
  return reply
    .code(problem.status)
    .serializer((body: unknown) => JSON.stringify(body))
    .type('application/problem+json')
    .send(problem);
}

function toProblem(thrown: unknown, request: FastifyRequest, logger: Logger): Problem {
  if (thrown instanceof RequestFailure) return createProblem(thrown, { members: thrown.members });
  if (thrown instanceof AppError) {
    const problem = createProblem(thrown);
    if (problem.status !== 500) return problem;
    logFault(thrown, request, logger);
    return problem;
  }
  const error = thrown as Partial<FastifyError>; // only read, and every field may be absent
  if (error.validation !== undefined) return invalid(error);
  const status = error.statusCode ?? 500;
  if (status < 500) return createProblem(new AppError(codeOf(status), textOf(status)), { status });
  logFault(thrown, request, logger);
  return createProblem(new AppError('SIGHTLINE_INTERNAL', 'something failed that is not foreseen; the log has it'));
}

/** Paths and reasons. Never values: the wrong one may be a password in the wrong place. */
function invalid({ validation = [], validationContext }: Partial<FastifyError>): Problem {
  // What is not known is told twice: by its object, and by itself as what may not be.
  const told = validation.filter(({ keyword }) => keyword !== 'boolean');
  const errors = told.slice(0, 20).flatMap(({ instancePath, message = 'is wrong', params, keyword }) => {
    const names: unknown = params['additionalProperties'];
    const unknown =
      keyword === 'additionalProperties' && Array.isArray(names) ? (names as readonly unknown[]) : undefined;
    const path = `${validationContext ?? 'request'}${shownPath(instancePath)}`;
    if (unknown === undefined) return [{ path, reason: message }];
    return unknown
      .slice(0, 5)
      .map((name) => ({ path: `${path}${shownPath(`/${String(name)}`)}`, reason: 'is not known' }));
  });
  const first = errors[0];
  const detail = first === undefined ? 'the request is wrong' : `${first.path} ${first.reason}`;
  return createProblem(new AppError('SIGHTLINE_REQUEST_INVALID', detail), { members: { errors } });
}

/** A path within a body. Names that no setting could have are left out: they may be values in the wrong place. */
export function shownPath(path: string): string {
  return path
    .split('/')
    .map((name) => (/^(?:[A-Za-z_]\w{0,39}|\d*)$/.test(name) ? name : '?'))
    .join('/');
}

function codeOf(status: number): ErrorCode {
  if (status === 413) return 'SIGHTLINE_REQUEST_TOO_LARGE';
  if (status === 429) return 'SIGHTLINE_RATE_LIMITED';
  if (status === 404) return 'SIGHTLINE_NOT_FOUND';
  return 'SIGHTLINE_REQUEST_INVALID';
}

function textOf(status: number): string {
  if (status === 413) return 'the body is too large';
  if (status === 415) return 'the body must be application/json';
  if (status === 429) return 'too many requests';
  return 'the request cannot be read';
}

function logFault(error: unknown, request: FastifyRequest, logger: Logger): void {
  logger.error({ err: error, route: request.routeOptions.url ?? '', method: request.method }, 'request failed');
}
