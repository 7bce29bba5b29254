import { AppError } from '#shared/core/errors';

export interface Page<Item> {
  readonly items: readonly Item[];
  /** Where the next page starts; null on the last one. */
  readonly next_cursor: string | null;
}

/** A page of items sorted by `keyOf`. The cursor names the last item and not a position: what comes and goes meanwhile repeats and skips nothing. */
export function pageOf<Item>(
  sorted: readonly Item[],
  keyOf: (item: Item) => string,
  request: { readonly limit: number; readonly cursor?: string | undefined },
): Page<Item> {
  const after = request.cursor === undefined ? undefined : readCursor(request.cursor);
  const rest = after === undefined ? sorted : sorted.filter((item) => keyOf(item) > after);
  const items = rest.slice(0, request.limit);
  const last = items.at(-1);
  return { items, next_cursor: rest.length > items.length && last !== undefined ? writeCursor(keyOf(last)) : null };
}

function writeCursor(key: string): string {
  return Buffer.from(key, 'utf8').toString('base64url');
}

function readCursor(cursor: string): string {
  const key = Buffer.from(cursor, 'base64url').toString('utf8');
  if (writeCursor(key) !== cursor)
    throw new AppError('SIGHTLINE_REQUEST_INVALID', 'the cursor is not one that was given out');
  return key;
}
