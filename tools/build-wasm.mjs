/** `npm run build:wasm`: assembles the kernels in WebAssembly text into the modules that the code loads. Tests hold each to its text. */
import { readFileSync, writeFileSync } from 'node:fs';
import createWabt from 'wabt';

const wabt = await createWabt();
for (const [folder, name, constant] of [
  ['../services/inference/core/', 'yuv-planes', 'yuvPlanesWasm'],
  ['../services/shared/core/', 'jpeg-reader', 'jpegReaderWasm'],
  ['../services/shared/core/', 'jpeg-writer', 'jpegWriterWasm'],
]) {
  const file = (ending) => new URL(`${folder}${name}${ending}`, import.meta.url);
  const { buffer } = wabt.parseWat(`${name}.wat`, readFileSync(file('.wat'), 'utf8')).toBinary({});
  const lines =
    Buffer.from(buffer)
      .toString('base64')
      .match(/.{1,140}/g) ?? [];
  const text = `/** ${name}.wat assembled: written by \`npm run build:wasm\`. */
export const ${constant} =
  ${lines.map((line) => `'${line}'`).join(' +\n  ')};
`;
  writeFileSync(file('-wasm.ts'), text);
}
