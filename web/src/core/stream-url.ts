/** An address with the user of a camera, where it names none itself. The password goes beside it: an address is shown and copied. */
export function withUser(url: string, user: string): string {
  if (user === '' || /^[^/]*:\/\/[^/]*@/.test(url)) return url;
  return url.replace('://', () => `://${encodeURIComponent(user)}@`);
}

/** Path of a stream by its make: `{channel}` counts from 1, `{channel2}` is the same with two digits. */
export function urlOfMake(host: string, pattern: string, channel: number): string {
  const path = pattern.replace('{channel2}', String(channel).padStart(2, '0')).replace('{channel}', String(channel));
  return `rtsp://${host.includes(':') && !host.includes('.') && !host.startsWith('[') ? `[${host}]` : host}${path}`;
}
