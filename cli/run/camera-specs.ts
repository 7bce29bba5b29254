import { readFileSync } from 'node:fs';
import { AppError } from '#shared/core/errors';
import { createCameraSpec, type CameraSpec } from '../../services/ingest/core/camera-spec.ts';
import type { CameraSettings, RunSettings } from './run-settings.ts';

/** What holds for every camera that says nothing else. */
type CameraDefaults = Pick<RunSettings, 'cameras' | 'fps' | 'filter' | 'allow_http' | 'until_end'>;

/**
 * Makes complete cameras of the settings. `${NAME}` in a URL is replaced from `environment`, so that a password need not stand in a file.
 * Throws SIGHTLINE_CONFIG_INVALID naming the camera; never a value.
 */
export function createCameraSpecs(
  settings: CameraDefaults,
  environment: Readonly<Record<string, string | undefined>>,
): readonly CameraSpec[] {
  return Object.entries(settings.cameras).map(([id, camera]) => createOne(id, camera, settings, environment));
}

/** Reads `NAME=URL` as `--camera` takes it. */
export function parseCameraFlag(text: string): readonly [id: string, camera: CameraSettings] {
  const equals = text.indexOf('=');
  if (equals < 1 || equals === text.length - 1) {
    throw new AppError(
      'SIGHTLINE_USAGE',
      '--camera takes NAME=URL, for example --camera front=rtsp://192.0.2.10/stream1',
    );
  }
  return [text.slice(0, equals), { url: text.slice(equals + 1) }];
}

function createOne(
  id: string,
  camera: CameraSettings,
  settings: CameraDefaults,
  environment: Readonly<Record<string, string | undefined>>,
): CameraSpec {
  const {
    url,
    password_file: passwordFile,
    tls_insecure: tlsInsecure,
    stall_timeout_s: stallS,
    max_age_s: maxAgeS,
    ...rest
  } = camera;
  return createCameraSpec({
    id,
    url: substituteVariables(id, url, environment),
    fps: settings.fps,
    filter: settings.filter,
    allowHttp: settings.allow_http,
    untilEnd: settings.until_end,
    ...rest,
    ...(passwordFile === undefined ? {} : { password: readPassword(id, passwordFile) }),
    ...(tlsInsecure === undefined ? {} : { tlsInsecure }),
    ...(stallS === undefined ? {} : { stallTimeoutMs: stallS * 1000 }),
    ...(maxAgeS === undefined ? {} : { maxAgeMs: maxAgeS * 1000 }),
  });
}

/** `${NAME}` in a camera's URL from the environment. Throws SIGHTLINE_CONFIG_INVALID where it is not set. */
export function substituteVariables(
  id: string,
  url: string,
  environment: Readonly<Record<string, string | undefined>>,
): string {
  const whole = /^\$\{([A-Za-z_][A-Za-z0-9_]*)\}$/.exec(url)?.[1];
  if (whole !== undefined) return lookUp(whole);
  // Inside a URL a password may hold anything: "@" and "/" must not end it.
  return url.replaceAll(/\$\{([A-Za-z_][A-Za-z0-9_]*)\}/g, (_, name: string) => encodeURIComponent(lookUp(name)));

  function lookUp(name: string): string {
    const value = environment[name];
    if (value === undefined) {
      throw new AppError(
        'SIGHTLINE_CONFIG_INVALID',
        `camera ${id}: its URL wants the variable ${name}, which is not set`,
      );
    }
    return value;
  }
}

/** Without the line break that editors leave at the end. */
export function readPassword(id: string, file: string): string {
  try {
    return readFileSync(file, 'utf8').replace(/\r?\n$/, '');
  } catch (error) {
    throw new AppError('SIGHTLINE_CONFIG_INVALID', `camera ${id}: its password file cannot be read`, { cause: error });
  }
}
