import type { ReasonCode } from '#schemas';
import type { ErrorCode } from '#shared/core/error-catalogue';
import { AppError } from '#shared/core/errors';

/** Error codes of a camera connection with what CameraStatus calls the same thing, and whether trying again can help by itself. */
const failures = {
  SIGHTLINE_CAMERA_URL_INVALID: { reason: 'NOT_ALLOWED', retryable: false },
  SIGHTLINE_CAMERA_NOT_ALLOWED: { reason: 'NOT_ALLOWED', retryable: false },
  SIGHTLINE_CAMERA_DNS: { reason: 'DNS', retryable: true },
  SIGHTLINE_CAMERA_REFUSED: { reason: 'REFUSED', retryable: true },
  SIGHTLINE_CAMERA_UNREACHABLE: { reason: 'UNREACHABLE', retryable: true },
  SIGHTLINE_CAMERA_TIMEOUT: { reason: 'TIMEOUT', retryable: true },
  // Retried slowly: a camera that restarts may answer 401 or 404 until it is up, and a password may be mended at the camera.
  SIGHTLINE_CAMERA_AUTH: { reason: 'AUTH', retryable: true },
  SIGHTLINE_CAMERA_NOT_FOUND: { reason: 'NOT_FOUND', retryable: true },
  SIGHTLINE_CAMERA_TLS: { reason: 'TLS', retryable: true },
  SIGHTLINE_CAMERA_PROTOCOL: { reason: 'PROTOCOL', retryable: true },
  SIGHTLINE_CAMERA_CODEC_UNSUPPORTED: { reason: 'CODEC_UNSUPPORTED', retryable: true },
  SIGHTLINE_CAMERA_NO_VIDEO: { reason: 'NO_VIDEO', retryable: true },
  SIGHTLINE_SECRET_UNREADABLE: { reason: 'AUTH', retryable: false },
} as const satisfies Partial<Record<ErrorCode, { reason: ReasonCode; retryable: boolean }>>;

export type CameraErrorCode = keyof typeof failures;

/** The error of a camera connection. `message` must hold no secret: it is made of our words and numbers, never of the camera's. */
export function cameraError(
  code: CameraErrorCode,
  message: string,
  options: { readonly cause?: unknown; readonly action?: string } = {},
): AppError {
  return new AppError(code, message, { ...options, retryable: failures[code].retryable });
}

/** What CameraStatus says for an error: the same fact under its reason code; UNKNOWN for what is not about the camera. */
export function reasonOf(error: unknown): ReasonCode {
  if (!(error instanceof AppError)) return 'UNKNOWN';
  return Object.hasOwn(failures, error.code) ? failures[error.code as CameraErrorCode].reason : 'UNKNOWN';
}
