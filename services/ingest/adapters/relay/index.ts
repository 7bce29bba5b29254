import type { CameraAddress } from '../../core/camera-url.ts';
import type { CameraRelay, RelayContext, RelayOptions } from './relay-types.ts';
import { openHttpRelay } from './http-relay.ts';
import { openRtspRelay } from './rtsp-relay.ts';

export type * from './relay-types.ts';

/**
 * Connects to a network camera and serves its video once on a loopback address: whoever decodes it never sees the camera or its password.
 * Throws an AppError with a SIGHTLINE_CAMERA_ code that says what the camera refused.
 */
export function openCameraRelay(
  camera: CameraAddress,
  options: RelayOptions,
  context: RelayContext,
): Promise<CameraRelay> {
  switch (camera.scheme) {
    case 'rtsp':
    case 'rtsps':
      return openRtspRelay(camera, options, context);
    case 'http':
    case 'https':
      return openHttpRelay(camera, options, context);
  }
}
