/** The line that does in a shell what a button does here. The token is left to the environment: a shown line is a copied line. */
export function curlLine(origin: string, method: string, path: string, body?: unknown, etag?: string): string {
  const parts = ['curl'];
  if (method !== 'GET') parts.push(`-X ${method}`);
  parts.push(quoted(`${origin}${path}`), '-H "Authorization: Bearer $SIGHTLINE_TOKEN"');
  if (etag !== undefined) parts.push(`-H ${quoted(`If-Match: ${etag}`)}`);
  if (body !== undefined) parts.push("-H 'Content-Type: application/json'", `-d ${quoted(JSON.stringify(body))}`);
  return parts.join(' ');
}

/** A step of a roll-out of models, as the command line makes it. */
export function modelLine(
  origin: string,
  step: { readonly action: string; readonly model: string; readonly share: number | undefined },
): string {
  const { action, model, share } = step;
  const part = share === undefined ? '' : ` --share ${share}`;
  return `sightline models ${action} ${quoted(model)}${part} --url ${quoted(origin)}`;
}

/** What follows the events that the page lists. */
export function eventsLine(
  origin: string,
  { camera, kind }: { readonly camera: string; readonly kind: string },
): string {
  const about = `${camera === '' ? '' : ` --camera ${quoted(camera)}`}${kind === '' ? '' : ` --kind ${quoted(kind)}`}`;
  return `sightline events tail${about} --url ${quoted(origin)}`;
}

/** A word of a POSIX shell; everything within single quotes is itself. */
export function quoted(text: string): string {
  return /^[\w./:=@%+,-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}

/** A URL as it may be shown: what the user typed may hold a password. */
export function withoutPassword(url: string): string {
  return url.replace(/^([a-z][a-z0-9+.-]*:\/\/)([^/]*)@/i, '$1…@');
}
