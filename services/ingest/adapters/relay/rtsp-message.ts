import { cameraError } from '../../core/camera-failure.ts';

/** An RTSP request or response, headers by lower-case name. */
export interface RtspMessage {
  /** `RTSP/1.0 200 OK` or `OPTIONS rtsp://… RTSP/1.0`. */
  readonly startLine: string;
  readonly headers: ReadonlyMap<string, readonly string[]>;
  readonly body: string;
}

const maxHeaders = 100;

/** Parses start line and headers (without the empty line that ends them). */
export function parseHead(head: string): Omit<RtspMessage, 'body'> {
  const [startLine = '', ...lines] = head.split(/\r?\n/);
  if (lines.length > maxHeaders) throw cameraError('SIGHTLINE_CAMERA_PROTOCOL', 'the answer has too many headers');
  const headers = new Map<string, string[]>();
  let last: string[] | undefined;
  for (const line of lines) {
    if (last !== undefined && (line.startsWith(' ') || line.startsWith('\t'))) {
      // Folded: the value goes on in the next line.
      last.push(`${last.pop() ?? ''} ${line.trim()}`);
      continue;
    }
    const colon = line.indexOf(':');
    if (colon <= 0) continue;
    const name = line.slice(0, colon).trim().toLowerCase();
    last = headers.get(name) ?? [];
    last.push(line.slice(colon + 1).trim());
    headers.set(name, last);
  }
  return { startLine, headers };
}

export function headerOf(message: Pick<RtspMessage, 'headers'>, name: string): string | undefined {
  return message.headers.get(name)?.[0];
}

/** Status of a response; undefined for a request. */
export function statusOf(message: RtspMessage): number | undefined {
  const match = /^RTSP\/\d\.\d (\d{3})(?: |$)/.exec(message.startLine);
  return match === null ? undefined : Number(match[1]);
}

/** Method and URL of a request; undefined for what is none. */
export function requestOf(message: RtspMessage): { readonly method: string; readonly url: string } | undefined {
  const match = /^([A-Z_]{1,20}) (\S+) RTSP\/\d\.\d$/.exec(message.startLine);
  return match?.[1] === undefined || match[2] === undefined ? undefined : { method: match[1], url: match[2] };
}

/** Text of a message. Values must come from us or be checked: a line break in one would be a header of its own. */
export function formatMessage(startLine: string, headers: Readonly<Record<string, string>>, body = ''): string {
  let text = `${startLine}\r\n`;
  for (const [name, value] of Object.entries(headers)) text += `${name}: ${value}\r\n`;
  return `${text}\r\n${body}`;
}
