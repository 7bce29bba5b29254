import { parseRoute, type Route } from '../core/routes.ts';
import { createStore } from './store.ts';

export const route = createStore<Route>({ page: 'wall' });

export function followAddress(): void {
  const take = (): void => route.set(parseRoute(location.hash));
  window.addEventListener('hashchange', take);
  take();
}
