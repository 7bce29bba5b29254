const mask = '***';

const authorizationHeader = /((?:proxy-)?authorization["']?\s*[:=]\s*)[^\r\n]*/gi;
/** Cameras that take their password in the path or query: `?user=admin&password=…`, `/user=admin&password=…&channel=1`. */
const secretParameter =
  /([?&;/]|\b)((?:pass(?:word|wd)?|pwd|secret|token|access_token|auth|api_?key|signature|sig)=)[^&;\s"'#/]*/gi;

/** A URL as people and logs may see it: without user name, password and what looks like a secret parameter. Works on text that is no valid URL. */
export function redactUrl(url: string): string {
  return maskParameters(maskUserinfo(url));
}

/**
 * Takes secrets out of any text (a child's stderr, a foreign error): user info of every URL, Authorization headers, password parameters,
 * and each of `secrets` as it is and percent-encoded.
 */
export function scrubSecrets(text: string, secrets: readonly string[] = []): string {
  let scrubbed = text;
  for (const secret of secrets) {
    if (secret === '') continue;
    for (const form of new Set([secret, encodeLoosely(secret)])) scrubbed = scrubbed.replaceAll(form, mask);
  }
  const withoutHeaders = scrubbed.replace(authorizationHeader, `$1${mask}`);
  return maskParameters(withoutHeaders.replace(/\S+/g, maskUserinfo));
}

/**
 * From the first `://` to the last `@`. Greedy on purpose: a password typed with a raw `/`, `#` or `@` in it must not show, at the price
 * that a URL with an `@` in its path loses its host. Not a regular expression: those that find this can be made to backtrack for minutes.
 */
function maskUserinfo(text: string): string {
  const start = text.indexOf('://');
  const end = text.lastIndexOf('@');
  return start < 0 || end < start ? text : `${text.slice(0, start + 3)}${mask}${text.slice(end)}`;
}

function maskParameters(text: string): string {
  return text.replace(secretParameter, `$1$2${mask}`);
}

/** encodeURIComponent throws on half of a surrogate pair, and this function must never throw: it works on error paths. */
function encodeLoosely(text: string): string {
  try {
    return encodeURIComponent(text);
  } catch {
    return text;
  }
}
