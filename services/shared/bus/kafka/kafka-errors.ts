import type { ErrorCode } from '#shared/core/error-catalogue';
import { AppError } from '#shared/core/errors';

/** What a driver found out about a failure of its client. Decided by class and code, never by message text. */
export interface KafkaFailure {
  /** Name of the broker's error, for example NOT_LEADER_OR_FOLLOWER. */
  readonly protocolError?: string;
  /** Code of the socket or TLS layer, for example ECONNREFUSED. */
  readonly systemCode?: string;
  readonly authentication?: boolean;
  readonly network?: boolean;
  readonly timedOut?: boolean;
}

const tlsCodes = /^(ERR_TLS_|ERR_SSL_|CERT_|DEPTH_ZERO_|SELF_SIGNED_|UNABLE_TO_|ERR_OSSL_)/;
const fenced = new Set([
  'INVALID_PRODUCER_EPOCH',
  'PRODUCER_FENCED',
  'FENCED_INSTANCE_ID',
  'INVALID_PRODUCER_ID_MAPPING',
]);
const rebalanced = new Set([
  'ILLEGAL_GENERATION',
  'UNKNOWN_MEMBER_ID',
  'REBALANCE_IN_PROGRESS',
  'STALE_MEMBER_EPOCH',
  'FENCED_MEMBER_EPOCH',
]);
const notAuthorised = new Set([
  'TOPIC_AUTHORIZATION_FAILED',
  'GROUP_AUTHORIZATION_FAILED',
  'CLUSTER_AUTHORIZATION_FAILED',
  'TRANSACTIONAL_ID_AUTHORIZATION_FAILED',
]);
const tooLarge = new Set(['MESSAGE_TOO_LARGE', 'RECORD_LIST_TOO_LARGE']);
const replicas = new Set(['NOT_ENOUGH_REPLICAS', 'NOT_ENOUGH_REPLICAS_AFTER_APPEND']);
const authentication = new Set(['SASL_AUTHENTICATION_FAILED', 'UNSUPPORTED_SASL_MECHANISM', 'ILLEGAL_SASL_STATE']);

/** Our error for a failure of the client, with what was being done in front of its own words. */
export function kafkaError(action: string, cause: unknown, failure: KafkaFailure): AppError {
  const message = cause instanceof Error ? cause.message : String(cause);
  const { protocolError } = failure;
  // Clients keep what the broker said in the causes of their errors, and say themselves only how often they tried.
  const words =
    protocolError === undefined || message.includes(protocolError) ? message : `${message} (${protocolError})`;
  const [code, retryable] = classify(failure);
  return new AppError(code, `${action}: ${words}`, { cause, retryable });
}

function classify(failure: KafkaFailure): [ErrorCode, boolean] {
  const { protocolError, systemCode } = failure;
  if (systemCode !== undefined && tlsCodes.test(systemCode)) return ['SIGHTLINE_KAFKA_TLS', false];
  if (failure.authentication === true) return ['SIGHTLINE_KAFKA_AUTH', false];
  if (protocolError !== undefined) {
    if (authentication.has(protocolError)) return ['SIGHTLINE_KAFKA_AUTH', false];
    if (fenced.has(protocolError)) return ['SIGHTLINE_KAFKA_FENCED', true];
    if (rebalanced.has(protocolError)) return ['SIGHTLINE_KAFKA_REBALANCED', true];
    if (notAuthorised.has(protocolError)) return ['SIGHTLINE_KAFKA_NOT_AUTHORISED', false];
    if (tooLarge.has(protocolError)) return ['SIGHTLINE_KAFKA_RECORD_TOO_LARGE', false];
    if (replicas.has(protocolError)) return ['SIGHTLINE_KAFKA_NOT_ENOUGH_REPLICAS', true];
    if (protocolError === 'UNSTABLE_OFFSET_COMMIT') return ['SIGHTLINE_KAFKA_POSITIONS_UNSTABLE', true];
    if (protocolError === 'UNKNOWN_TOPIC_OR_PARTITION') return ['SIGHTLINE_KAFKA_TOPIC_MISSING', true];
  }
  if (failure.network === true || failure.timedOut === true || systemCode !== undefined) {
    return ['SIGHTLINE_KAFKA_UNREACHABLE', true];
  }
  return ['SIGHTLINE_KAFKA_FAILED', true];
}
