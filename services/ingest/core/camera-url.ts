import { AppError } from '#shared/core/errors';
import { redactUrl } from '#shared/core/redact';

export type CameraScheme = 'rtsp' | 'rtsps' | 'http' | 'https';

/** A user name and password that do not show when the object is logged, inspected or turned into JSON. */
export class CameraCredentials {
  readonly #username: string;
  readonly #password: string;

  constructor(username: string, password: string) {
    this.#username = username;
    this.#password = password;
  }

  /** The only way out: for the code that answers a camera's challenge. */
  reveal(): { readonly username: string; readonly password: string } {
    return { username: this.#username, password: this.#password };
  }

  toJSON(): string {
    return '[redacted]';
  }

  toString(): string {
    return '[redacted]';
  }
}

/** A checked camera URL in parts. Holds no secret outside `credentials`. */
export interface CameraAddress {
  readonly scheme: CameraScheme;
  /** Canonical: punycode, lower case, IPv6 without brackets. */
  readonly host: string;
  readonly port: number;
  /** Path and query as they go on the wire; empty or starting with `/`. */
  readonly path: string;
  readonly credentials: CameraCredentials | null;
  /** The URL for people: no credentials. */
  readonly display: string;
}

export interface CameraUrlRules {
  /** Whether http and https (MJPEG, HLS) are cameras too. Default false. */
  readonly allowHttp?: boolean;
  /** Takes the place of the password in the URL, so that it need not stand on a command line. */
  readonly password?: string;
}

const maxUrlLength = 2048;
const defaultPorts: Readonly<Record<CameraScheme, number>> = { rtsp: 554, rtsps: 322, http: 80, https: 443 };
const schemePattern = /^([a-z][a-z0-9+.-]*):\/\//i;

/** Whether the text names a network camera (or anything else with a scheme) and not a file path. */
export function looksLikeUrl(text: string): boolean {
  return schemePattern.test(text);
}

/** Parses and checks what a user gave as a camera URL. Throws SIGHTLINE_CAMERA_URL_INVALID with a reason that never repeats a secret. */
export function parseCameraUrl(text: string, rules: CameraUrlRules = {}): CameraAddress {
  if (text.length > maxUrlLength) throw invalid(`the URL is longer than ${maxUrlLength} characters`);
  if (hasControlCharacter(text)) throw invalid('the URL holds a control character');
  if (text.startsWith('-')) throw invalid('the URL starts with "-"');
  const scheme = schemePattern.exec(text)?.[1]?.toLowerCase();
  if (scheme === undefined) throw invalid('the URL does not start with a scheme such as rtsp://');
  if (!isCameraScheme(scheme)) throw invalid(`"${scheme}" is not a scheme that a camera can have; rtsp and rtsps are`);
  if (!rules.allowHttp && (scheme === 'http' || scheme === 'https')) {
    throw new AppError('SIGHTLINE_CAMERA_URL_INVALID', `Not a usable camera URL: ${scheme} cameras are switched off`, {
      action: 'Use the rtsp URL of the camera, or switch http cameras on with --allow-http.',
    });
  }

  const url = parse(text);
  const host = canonicalHost(url.hostname);
  const port = url.port === '' ? defaultPorts[scheme] : Number(url.port);
  if (port === 0) throw invalid('port 0 cannot be connected to');
  const path = url.pathname + url.search;
  const username = decodePart(url.username);
  const password = rules.password ?? decodePart(url.password);
  const credentials = username === '' && password === '' ? null : new CameraCredentials(username, password);
  return {
    scheme,
    host,
    port,
    path,
    credentials,
    display: redactUrl(`${scheme}://${hostForUrl(host)}:${port}${path}`),
  };
}

/** The request URL of the wire, without credentials. The default port is left out: some cameras compare the text. */
export function wireUrl(address: Pick<CameraAddress, 'scheme' | 'host' | 'port' | 'path'>): string {
  const port = address.port === defaultPorts[address.scheme] ? '' : `:${address.port}`;
  return `${address.scheme}://${hostForUrl(address.host)}${port}${address.path}`;
}

function hostForUrl(host: string): string {
  return host.includes(':') ? `[${host}]` : host;
}

function isCameraScheme(scheme: string): scheme is CameraScheme {
  return Object.hasOwn(defaultPorts, scheme);
}

function parse(text: string): URL {
  try {
    return new URL(text);
  } catch {
    // The cause is left out on purpose: it repeats the URL with its password.
    throw invalid('the URL cannot be parsed (in a password, write # / ? @ and % as %23 %2F %3F %40 and %25)');
  }
}

/** URL leaves the host of a scheme that it does not know as it is; its http parser knows IDN, decimal and hex addresses and bad characters. */
function canonicalHost(hostname: string): string {
  if (hostname === '') throw invalid('the URL has no host');
  let host: string;
  try {
    host = new URL(`http://${decodePart(hostname)}/`).hostname;
  } catch {
    throw invalid('the host of the URL is not a host name or address');
  }
  return host.startsWith('[') ? host.slice(1, -1) : host;
}

/** Decodes the escapes that are whole; a stray % stays: people type passwords as they are. */
function decodePart(part: string): string {
  return part.replace(/(?:%[0-9a-f]{2})+/gi, (escapes) => {
    try {
      return decodeURIComponent(escapes);
    } catch {
      return escapes;
    }
  });
}

function hasControlCharacter(text: string): boolean {
  for (let index = 0; index < text.length; index++) {
    const code = text.charCodeAt(index);
    if (code < 0x20 || (code >= 0x7f && code <= 0x9f)) return true;
  }
  return false;
}

function invalid(reason: string): AppError {
  return new AppError('SIGHTLINE_CAMERA_URL_INVALID', `Not a usable camera URL: ${reason}`);
}
