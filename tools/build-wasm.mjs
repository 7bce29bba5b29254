/** `npm run build:wasm`: assembles the one kernel in WebAssembly text into the module that the code loads. A test holds the two to each other. */
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import createWabt from 'wabt';

const folder = new URL('../services/inference/core/', import.meta.url);
const wabt = await createWabt();
const parsed = wabt.parseWat('yuv-planes.wat', readFileSync(new URL('yuv-planes.wat', folder), 'utf8'));
const { buffer } = parsed.toBinary({});
const lines =
  Buffer.from(buffer)
    .toString('base64')
    .match(/.{1,140}/g) ?? [];
const text = `/** yuv-planes.wat assembled: written by \`npm run build:wasm\`. */
export const yuvPlanesWasm =
  ${lines.map((line) => `'${line}'`).join(' +\n  ')};
`;
writeFileSync(fileURLToPath(new URL('yuv-planes-wasm.ts', folder)), text);
