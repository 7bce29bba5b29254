/** An address with the user and password of a camera in it, as it goes to the API; nowhere else is it shown so. */
export function withCredentials(url: string, user: string, password: string): string {
  if (user === '') return url;
  const secret = password === '' ? '' : `:${encodeURIComponent(password)}`;
  return url.replace('://', `://${encodeURIComponent(user)}${secret}@`);
}

/** Path of a stream by its make: `{channel}` counts from 1, `{channel2}` is the same with two digits. */
export function urlOfMake(host: string, pattern: string, channel: number): string {
  const path = pattern.replace('{channel2}', String(channel).padStart(2, '0')).replace('{channel}', String(channel));
  return `rtsp://${host.includes(':') && !host.includes('.') && !host.startsWith('[') ? `[${host}]` : host}${path}`;
}
