interface Page<Item> {
  readonly items: readonly Item[];
  readonly next_cursor: string | null;
}

/** All items of a list that comes in pages. */
export async function readPages<Item>(readPage: (cursor: { cursor?: string }) => Promise<Page<Item>>): Promise<Item[]> {
  const items: Item[] = [];
  for (let cursor: string | null | undefined; cursor !== null;) {
    const page: Page<Item> = await readPage(cursor === undefined ? {} : { cursor });
    items.push(...page.items);
    cursor = page.next_cursor;
  }
  return items;
}
