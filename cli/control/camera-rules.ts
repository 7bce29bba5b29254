import type { Clock } from '#shared/core/clock';
import type { Logger } from '#shared/core/logger';
import type { SecretBox } from '#shared/core/secret-box';
import type { CameraEntry, CameraFinder, ProbeCamera } from '../../services/control/core/ports.ts';
import type { RegisteredCamerasOptions } from '../../services/control/core/registered-cameras.ts';
import { probeCamera } from '../../services/ingest/adapters/probe-camera.ts';
import { registrationFromInput, specFromRegistration } from '../../services/ingest/core/camera-registration.ts';
import type { CameraSpec } from '../../services/ingest/core/camera-spec.ts';
import { streamTemplates } from '../../services/ingest/core/stream-templates.ts';

export interface RegistrationRules {
  readonly secretBox: SecretBox;
  readonly allowHttp: boolean;
  readonly allowFiles: boolean;
  readonly clock: Clock;
}

/** How the API makes registrations: by the rules of ingest, which control does not know. */
export function registrationRules({
  secretBox,
  allowHttp,
  allowFiles,
  clock,
}: RegistrationRules): Pick<RegisteredCamerasOptions, 'makeRegistration' | 'revealUrl'> {
  return {
    makeRegistration: (input, previous) =>
      registrationFromInput(
        { ...(previous === undefined ? { allow_http: allowHttp } : {}), ...input },
        {
          ...{ secretBox, nowUs: clock.nowUs(), by: 'api', allowFiles },
          ...(previous === undefined ? {} : { previous }),
        },
      ),
    revealUrl(registration) {
      const { source } = specFromRegistration(registration, secretBox);
      if (source.kind === 'file') return source.path;
      const { scheme, host, port, path, credentials } = source.address;
      const { username, password } = credentials?.reveal() ?? { username: '', password: '' };
      const user = credentials === null ? '' : `${encodeURIComponent(username)}:${encodeURIComponent(password)}@`;
      return `${scheme}://${user}${host.includes(':') ? `[${host}]` : host}:${port}${path}`;
    },
  };
}

export interface ProbeRules {
  readonly allowHttp: boolean;
  readonly denyLoopback: boolean;
  readonly denyPrivate: boolean;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** How the API tries a camera: as ingest would connect to it. */
export function probeByRules({ denyLoopback, denyPrivate, clock, logger, ...rules }: ProbeRules): ProbeCamera {
  return ({ url, password, transport, tlsInsecure, timeoutMs, signal, onStep, allowHttp = rules.allowHttp }) =>
    probeCamera(url, {
      ...{ clock, logger, timeoutMs, signal, allowHttp },
      ...(password === undefined ? {} : { password }),
      ...(onStep === undefined ? {} : { onStep }),
      relay: { transport, tlsInsecure, policy: { denyLoopback, denyPrivate } },
    });
}

/** How the API finds cameras: by what ingest knows of them. */
export function finderByRules({ denyLoopback, denyPrivate, clock }: ProbeRules): CameraFinder {
  return {
    // Loaded only where somebody searches.
    discover: async (request) =>
      (await import('../../services/ingest/adapters/onvif/discover-devices.ts')).discoverDevices(request),
    profiles: async (request) =>
      (await import('../../services/ingest/adapters/onvif/read-profiles.ts')).readProfiles({
        ...request,
        ...{ clock, policy: { denyLoopback, denyPrivate } },
      }),
    templates: streamTemplates,
  };
}

/** A camera of the settings file as the API shows it. */
export function fileEntry(camera: CameraSpec): CameraEntry {
  const { id, source, fps, filter, transport, tlsInsecure, crop, tags, stallTimeoutMs, maxAgeMs, loop } = camera;
  const { realtime, masks, priority = 1 } = camera;
  const now = new Date().toISOString();
  return {
    ...{ id, fps, filter, transport, tls_insecure: tlsInsecure, crop, tags, loop, enabled: true, origin: 'file' },
    ...{ realtime, priority, allow_http: source.kind === 'http' },
    url: source.kind === 'file' ? source.path : source.address.display,
    has_credentials: source.kind !== 'file' && source.address.credentials !== null,
    ...{ stall_timeout_s: stallTimeoutMs / 1000, max_age_s: maxAgeMs / 1000, version: 1 },
    geometry: {
      ...{ zones: [], lines: [] },
      masks: masks.map((polygon, index) => ({ id: `mask-${index + 1}`, name: `mask ${index + 1}`, polygon })),
    },
    ...{ created_at: now, updated_at: now },
  };
}
