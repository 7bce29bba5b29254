#!/usr/bin/env node
/**
 * Starts the `sightline` command on a Node that can run it. Plain JavaScript that any Node parses: the machine's own Node may be older than
 * the one that the package brings (npm package `node`).
 */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { constants } from 'node:os';
import module from 'node:module';
import v8 from 'node:v8';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const neededMajor = 24;
const self = fileURLToPath(import.meta.url);
const root = resolve(dirname(self), '..');

if (Number.parseInt(process.versions.node, 10) >= neededMajor) {
  await runHere();
} else {
  runOnOwnNode();
}

async function runHere() {
  // Started by an older Node that waits for us: if that one is killed, nobody could stop us any more, so we stop as if told to.
  if (process.channel) {
    process.once('disconnect', () => process.kill(process.pid, 'SIGTERM'));
    process.channel.unref();
  }
  // V8 begins to mark its whole heap as soon as less is free to its limit than its space for new objects is large; where that has grown and the
  // limit is near, as here, it does so all the time (docs/performance.md). So it waits until most of what is free has been used.
  v8.setFlagsFromString('--incremental-marking-soft-trigger=80');
  v8.setFlagsFromString('--incremental-marking-hard-trigger=95');
  // Keeps compiled code between runs, TypeScript already stripped; it saves a third of the start.
  module.enableCompileCache?.(join(root, 'node_modules/.cache/sightline'));
  // node:sqlite says on every start that it is experimental; we pin the Node it was tested on. All other warnings pass.
  const emitWarning = process.emitWarning;
  process.emitWarning = (warning, ...rest) => {
    const text = typeof warning === 'string' ? warning : warning.message;
    if (!text.startsWith('SQLite is an experimental feature')) emitWarning.call(process, warning, ...rest);
  };
  const { main } = await import('./main.ts');
  await main(process.argv.slice(2));
}

function runOnOwnNode() {
  const own = join(root, 'node_modules/node/bin', process.platform === 'win32' ? 'node.exe' : 'node');
  if (!existsSync(own)) {
    process.stderr.write(
      `sightline needs Node ${neededMajor} or later; this is ${process.version}. Run \`npm ci\` in ${root} (it brings the right one), or install Node ${neededMajor}.\n`,
    );
    process.exit(4);
  }
  const child = spawn(own, [...process.execArgv, self, ...process.argv.slice(2)], {
    stdio: ['inherit', 'inherit', 'inherit', 'ipc'],
    // Ctrl-C reaches both of us from the terminal, and we hand on what we hear: the service counts the copy as the same signal.
    // glibc keeps what is freed below a limit that it raises by itself up to 32 MB: models that were let go would stay in memory.
    env: { MALLOC_MMAP_THRESHOLD_: '4194304', ...process.env, SIGHTLINE_SIGNALS_FORWARDED: '1' },
  });
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGUSR2'];
  for (const signal of signals) process.on(signal, () => child.kill(signal));
  child.once('error', (error) => {
    process.stderr.write(`sightline could not start ${own}: ${error.message}\n`);
    process.exit(4);
  });
  child.once('exit', (code, signal) => {
    for (const name of signals) process.removeAllListeners(name);
    if (signal === null) process.exit(code ?? 70);
    process.kill(process.pid, signal);
    // A signal that does not end us (SIGKILL of the child alone does, others may be ignored) still has to end in the right code.
    setTimeout(() => process.exit(128 + (constants.signals[signal] ?? 0)), 100);
  });
}
