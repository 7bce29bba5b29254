import { startScriptedApi } from './scripted-api.ts';

// `node web/dev/main.ts [CAMERAS] [PORT]`, and `npx vite web` beside it.
const api = await startScriptedApi({ cameras: Number(process.argv[2] ?? 12), port: Number(process.argv[3] ?? 5199) });
process.stderr.write(`scripted API on ${api.url}\n`);
