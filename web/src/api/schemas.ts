import type { components } from '../../../cli/api/api-types.ts';

/** What the API takes and gives, generated from docs/openapi.json. */
export type Schemas = components['schemas'];
