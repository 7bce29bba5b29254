import type { CameraFilter } from './filter-cameras.ts';

export type Route =
  | { readonly page: 'wall' }
  | { readonly page: 'camera'; readonly cameraId: string }
  | { readonly page: 'add' }
  | { readonly page: 'models' }
  | { readonly page: 'events' }
  | { readonly page: 'system' }
  | { readonly page: 'audit' }
  | { readonly page: 'tokens' };

const plainPages = ['add', 'models', 'events', 'system', 'audit', 'tokens'] as const;

/** The page that a hash stands for; what is not known leads to the wall. */
export function parseRoute(hash: string): Route {
  const [first = '', second] = hash.replace(/^#\/?/, '').replace(/\?.*$/, '').split('/');
  if (first === 'cameras' && second !== undefined && second !== '')
    return { page: 'camera', cameraId: decodeOrSame(second) };
  const plain = plainPages.find((page) => page === first);
  return plain === undefined ? { page: 'wall' } : { page: plain };
}

export function hrefOf(route: Route): string {
  switch (route.page) {
    case 'wall':
      return '#/';
    case 'camera':
      return `#/cameras/${encodeURIComponent(route.cameraId)}`;
    case 'add':
    case 'models':
    case 'events':
    case 'system':
    case 'audit':
    case 'tokens':
      return `#/${route.page}`;
  }
}

export const noFilter: CameraFilter = { text: '', state: '', tag: '' };

/** The wall as somebody looks at it: in the address, so that the way back from a camera, and a link that is sent to a colleague, lead to the same. */
export function wallHref(filter: CameraFilter): string {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries({ q: filter.text, state: filter.state, tag: filter.tag }))
    if (value !== '') query.set(name, value);
  return query.size === 0 ? '#/' : `#/?${query.toString()}`;
}

export function filterInHash(hash: string): CameraFilter {
  const query = new URLSearchParams(/\?(.*)$/.exec(hash)?.[1] ?? '');
  return { text: query.get('q') ?? '', state: query.get('state') ?? '', tag: query.get('tag') ?? '' };
}

function decodeOrSame(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** A token in the fragment, as the start of a run prints it; fragments are never sent to a server. */
export function tokenInHash(hash: string): string | undefined {
  const found = /^#token=(.+)$/.exec(hash)?.[1];
  return found === undefined ? undefined : decodeOrSame(found);
}
