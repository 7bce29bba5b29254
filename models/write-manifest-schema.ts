import { writeFileSync } from 'node:fs';
import { manifestJsonSchema } from '../services/inference/model-manifest.ts';

/** Writes manifest.schema.json anew: `node models/write-manifest-schema.ts`. A test holds the file to the code. */
writeFileSync(`${import.meta.dirname}/manifest.schema.json`, `${JSON.stringify(manifestJsonSchema, null, 2)}\n`);
