import { GenericError, MultipleErrors } from '@platformatic/kafka';
import { AppError } from '#shared/core/errors';
import { kafkaError, type KafkaFailure } from '../kafka-errors.ts';

/** Our error for one of @platformatic/kafka; an AppError passes as it is. */
export function fromPlatformatic(action: string, thrown: unknown): AppError {
  return thrown instanceof AppError ? thrown : kafkaError(action, thrown, failureOf(thrown));
}

/** What is in an error of the client and in those that led to it. */
export function failureOf(thrown: unknown): KafkaFailure {
  const failure: { -readonly [Key in keyof KafkaFailure]: KafkaFailure[Key] } = {};
  // The newest attempt tells most: a list of attempts has it last, and each may have further causes.
  const pending: unknown[] = [thrown];
  for (let seen = 0; seen < 64 && pending.length > 0; seen += 1) {
    const error = pending.pop();
    if (!(error instanceof Error)) continue;
    if (error.cause !== undefined) pending.push(error.cause);
    if (error instanceof MultipleErrors) pending.push(...(error.errors as unknown[]));
    if (!(error instanceof GenericError)) {
      const { code } = error as NodeJS.ErrnoException;
      if (typeof code === 'string' && !code.startsWith('PLT_KFK')) failure.systemCode ??= code;
      continue;
    }
    const id: unknown = error['apiId'];
    if (typeof id === 'string') failure.protocolError ??= id;
    if (error.code === 'PLT_KFK_AUTHENTICATION') failure.authentication = true;
    if (error.code === 'PLT_KFK_NETWORK') failure.network = true;
    if (error.code === 'PLT_KFK_TIMEOUT') failure.timedOut = true;
  }
  return failure;
}

export async function guard<Result>(action: string, run: () => Promise<Result>): Promise<Result> {
  try {
    return await run();
  } catch (error) {
    throw fromPlatformatic(action, error);
  }
}
