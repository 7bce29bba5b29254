import type { ErrorCode } from '#shared/core/error-catalogue';
import { errorCatalogue } from '#shared/core/error-catalogue';

/** RFC 9457, with the stable codes of docs/errors.md. */
export interface Problem {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly code: ErrorCode;
  readonly detail: string;
  readonly action: string;
  readonly retryable: boolean;
  readonly [member: string]: unknown;
}

/** The status of each code that a request can meet; every other one is a fault of ours. */
const statuses: Readonly<Partial<Record<ErrorCode, number>>> = {
  SIGHTLINE_REQUEST_INVALID: 400,
  SIGHTLINE_CONFIG_INVALID: 400,
  SIGHTLINE_CAMERA_URL_INVALID: 400,
  SIGHTLINE_UNAUTHENTICATED: 401,
  SIGHTLINE_JWT_INVALID: 401,
  SIGHTLINE_JWT_EXPIRED: 401,
  SIGHTLINE_JWT_NO_ROLE: 403,
  SIGHTLINE_FORBIDDEN: 403,
  SIGHTLINE_NOT_FOUND: 404,
  SIGHTLINE_CAMERA_UNKNOWN: 404,
  SIGHTLINE_TOKEN_UNKNOWN: 404,
  SIGHTLINE_MODEL_NOT_FOUND: 404,
  SIGHTLINE_CAMERA_EXISTS: 409,
  SIGHTLINE_CAMERA_FROM_FILE: 409,
  SIGHTLINE_CAPACITY_EXHAUSTED: 409,
  SIGHTLINE_IDEMPOTENCY_CONFLICT: 409,
  SIGHTLINE_ROLLOUT_REFUSED: 409,
  SIGHTLINE_ROLLOUT_CHANGED: 409,
  SIGHTLINE_CAMERA_CHANGED: 412,
  SIGHTLINE_REQUEST_TOO_LARGE: 413,
  SIGHTLINE_CAMERA_NOT_USABLE: 422,
  SIGHTLINE_CAMERA_NOT_ALLOWED: 422,
  // What is wrong with a camera is no fault of the request, and none of ours.
  SIGHTLINE_CAMERA_AUTH: 422,
  SIGHTLINE_CAMERA_DNS: 422,
  SIGHTLINE_CAMERA_PROTOCOL: 422,
  SIGHTLINE_CAMERA_REFUSED: 422,
  SIGHTLINE_CAMERA_TIMEOUT: 422,
  SIGHTLINE_CAMERA_UNREACHABLE: 422,
  SIGHTLINE_MODEL_CORRUPT: 422,
  SIGHTLINE_MODEL_DIGEST_MISMATCH: 422,
  SIGHTLINE_MODEL_DRY_RUN_FAILED: 422,
  SIGHTLINE_MODEL_MANIFEST_INVALID: 422,
  SIGHTLINE_MODEL_SHAPE_MISMATCH: 422,
  SIGHTLINE_MODEL_SIGNATURE_INVALID: 422,
  SIGHTLINE_MODEL_TOO_LARGE: 422,
  SIGHTLINE_MODEL_UNSAFE: 422,
  SIGHTLINE_MODEL_UNSIGNED: 422,
  SIGHTLINE_RATE_LIMITED: 429,
  SIGHTLINE_NO_PICTURE: 503,
  SIGHTLINE_DISCOVERY_FAILED: 503,
  SIGHTLINE_IDENTITY_UNREACHABLE: 503,
  // Kafka or the registry is away, and nothing is wrong with the request.
  SIGHTLINE_BUS_CLOSED: 503,
  SIGHTLINE_KAFKA_NOT_ENOUGH_REPLICAS: 503,
  SIGHTLINE_KAFKA_OVERLOADED: 503,
  SIGHTLINE_KAFKA_STALLED: 503,
  SIGHTLINE_KAFKA_TOPIC_MISSING: 503,
  SIGHTLINE_KAFKA_UNREACHABLE: 503,
  SIGHTLINE_REGISTRY_UNREACHABLE: 503,
};

export function statusOf(code: ErrorCode): number {
  return statuses[code] ?? 500;
}

export function createProblem(
  failure: { readonly code: ErrorCode; readonly message: string; readonly action: string; readonly retryable: boolean },
  options: { readonly status?: number; readonly members?: Readonly<Record<string, unknown>> } = {},
): Problem {
  const { code, message, action, retryable } = failure;
  const { summary } = errorCatalogue[code];
  return {
    ...options.members,
    type: `/docs#${code}`,
    title: summary,
    status: options.status ?? statusOf(code),
    code,
    detail: message,
    action,
    retryable,
  };
}
