/** Whether an answer is an HLS playlist, by its type or its name. */
export function isPlaylist(contentType: string | undefined, path: string): boolean {
  return /mpegurl/i.test(contentType ?? '') || /\.m3u8(\?|$)/i.test(path);
}

/**
 * Points the absolute references of a playlist at the relay; relative ones work as they are. A reference to another host would have the
 * decoder leave the relay: it is pointed at nothing.
 */
export function rewritePlaylist(playlist: string, origin: string, prefix: string): string {
  const rewrite = (reference: string): string => {
    if (reference.startsWith(`${origin}/`)) return `${prefix}${reference.slice(origin.length)}`;
    if (/^[a-z][a-z0-9+.-]*:/i.test(reference) || reference.startsWith('//'))
      return `${prefix}/elsewhere-is-not-allowed`;
    return reference.startsWith('/') ? `${prefix}${reference}` : reference;
  };
  return playlist
    .split('\n')
    .map((line) =>
      line.startsWith('#')
        ? line.replace(/URI="([^"]*)"/g, (_whole, reference: string) => `URI="${rewrite(reference)}"`)
        : line.trim() === ''
          ? line
          : rewrite(line.trim()),
    )
    .join('\n');
}
