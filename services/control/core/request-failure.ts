import type { ErrorCode } from '#shared/core/error-catalogue';
import { AppError } from '#shared/core/errors';

/** A failure with more to tell than its text: the verdict on a camera, the numbers of what is left. */
export class RequestFailure extends AppError {
  readonly members: Readonly<Record<string, unknown>>;

  constructor(code: ErrorCode, message: string, members: Readonly<Record<string, unknown>>, action?: string) {
    super(code, message, action === undefined ? {} : { action });
    this.members = members;
  }
}
