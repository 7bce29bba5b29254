import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';

/** The page as it was built; without it there is only the API. */
export function webRoot(): { readonly webRoot?: string } {
  const built = resolve(import.meta.dirname, '../../web/dist');
  return existsSync(join(built, 'index.html')) ? { webRoot: built } : {};
}
