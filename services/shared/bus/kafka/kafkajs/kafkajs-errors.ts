import { AppError } from '#shared/core/errors';
import { kafkaError, type KafkaFailure } from '../kafka-errors.ts';

/** Our error for one of kafkajs; an AppError passes as it is. */
export function fromKafkajs(action: string, thrown: unknown): AppError {
  if (thrown instanceof AppError) return thrown;
  const failure: { -readonly [Key in keyof KafkaFailure]: KafkaFailure[Key] } = {};
  // The reason may lie under layers of "number of retries exceeded".
  let error: unknown = thrown;
  for (let depth = 0; depth < 8 && error instanceof Error; depth += 1) {
    const { name, type, code, cause, originalError } = error as Error &
      Record<'type' | 'code' | 'originalError', unknown>;
    if (typeof type === 'string') failure.protocolError ??= type;
    if (typeof code === 'string' && code !== '') failure.systemCode ??= code;
    if (name.startsWith('KafkaJSSASL')) failure.authentication = true;
    if (
      name.startsWith('KafkaJSConnection') ||
      name === 'KafkaJSBrokerNotFound' ||
      name === 'KafkaJSNoBrokerAvailableError'
    ) {
      failure.network = true;
    }
    if (name === 'KafkaJSRequestTimeoutError') failure.timedOut = true;
    error = cause ?? originalError;
  }
  return kafkaError(action, thrown, failure);
}
