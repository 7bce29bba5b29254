import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';

import { errorCatalogue } from '#shared/core/error-catalogue';

type Tool = Record<'errorTable', (catalogue: typeof errorCatalogue) => string>;

// A plain script without a declaration; the type says how its own comment describes it.
const { errorTable } = (await import(new URL('../../../tools/error-table.mjs', import.meta.url).href)) as Tool;

describe('docs/errors.md', () => {
  it('is what `npm run docs:errors` makes of the catalogue', () => {
    expect(readFileSync(new URL('../../../docs/errors.md', import.meta.url), 'utf8')).toBe(errorTable(errorCatalogue));
  });

  it.each(Object.entries(errorCatalogue))(
    '%s says in whole sentences what happened and what to do',
    (code, { summary, action }) => {
      expect(code).toMatch(/^SIGHTLINE_[A-Z]+(_[A-Z]+)*$/);
      expect(summary).toMatch(/^(?:ffmpeg|[A-Z]).*\.$/);
      expect(action).toMatch(/^(?:ffmpeg|[A-Z]).*\.$/);
    },
  );
});
