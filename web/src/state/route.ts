import { filterInHash, noFilter, parseRoute, wallHref, type Route } from '../core/routes.ts';
import type { CameraFilter } from '../core/filter-cameras.ts';
import { createStore } from './store.ts';

export const route = createStore<Route>({ page: 'wall' });

/** Of the wall; stays while other pages are looked at, for the way back. */
export const wallFilter = createStore<CameraFilter>(noFilter);

export function followAddress(): void {
  const take = (): void => {
    const next = parseRoute(location.hash);
    if (next.page === 'wall') wallFilter.set(filterInHash(location.hash));
    route.set(next);
  };
  window.addEventListener('hashchange', take);
  // The wall knows better where it was left: the browser's place is of another moment where somebody was quick.
  history.scrollRestoration = 'manual';
  take();
}

/** Without an entry in the history for each letter that is typed. */
export function changeWallFilter(filter: CameraFilter): void {
  history.replaceState(null, '', wallHref(filter));
  wallFilter.set(filter);
}

/** How far the wall was scrolled when it was left. */
let left: { readonly href: string; readonly scrolledPx: number } | undefined;

export function leaveWall(scrolledPx: number): void {
  left = { href: wallHref(wallFilter.get()), scrolledPx };
}

/** Where the wall is to begin: on the way back where it was left, else, filtered otherwise, at its top. */
export function returnToWall(): number {
  return left?.href === wallHref(wallFilter.get()) ? left.scrolledPx : 0;
}
