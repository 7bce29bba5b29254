import { AppError } from '#shared/core/errors';
import type { CameraAddress } from '../../core/camera-url.ts';
import type { CameraRelay, RelayContext, RelayOptions } from './relay-types.ts';

export function openHttpRelay(
  _camera: CameraAddress,
  _options: RelayOptions,
  _context: RelayContext,
): Promise<CameraRelay> {
  return Promise.reject(new AppError('SIGHTLINE_INTERNAL', 'not there yet'));
}
