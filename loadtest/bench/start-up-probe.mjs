/**
 * Loaded into a run (`node --import`) by start-up.ts: at each log line, how much CPU time the process and its ended children took until then.
 * Log lines are written synchronously through node:fs, so this is the moment itself and needs no hook in the product.
 */
import fs from 'node:fs';

const file = process.env.SIGHTLINE_BENCH_STAGES;
const writeSync = fs.writeSync;
fs.writeSync = (fd, ...rest) => {
  if (fd === 2 && typeof rest[0] === 'string') note(rest[0]);
  return writeSync(fd, ...rest);
};

function note(line) {
  const message = /"msg":"([^"]*)"/.exec(line)?.[1];
  if (message === undefined) return;
  const { user, system } = process.cpuUsage();
  const stage = { message, ownMs: (user + system) / 1000, childrenMs: endedChildrenMs(), wallMs: performance.now() };
  fs.appendFileSync(file, `${JSON.stringify(stage)}\n`);
}

function endedChildrenMs() {
  const stat = fs.readFileSync('/proc/self/stat', 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[13]) + Number(fields[14])) * 10;
}
