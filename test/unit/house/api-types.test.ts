import { readFileSync } from 'node:fs';
import openapiTS, { astToString, COMMENT_HEADER } from 'openapi-typescript';
import { expect, test } from 'vitest';

test('the types of the API are what `npm run api:types` makes of docs/openapi.json', async () => {
  const types = await openapiTS(readFileSync('docs/openapi.json', 'utf8'));
  expect(readFileSync('cli/api/api-types.ts', 'utf8')).toBe(`${COMMENT_HEADER}${astToString(types)}`);
}, 30_000);
