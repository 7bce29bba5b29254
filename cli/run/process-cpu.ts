import { readFileSync } from 'node:fs';

/** Linux counts the CPU time of processes in hundredths of a second, whatever the kernel's own tick is. */
const millisecondsPerTick = 10;

/**
 * CPU time in milliseconds that this process, its threads and its children have used. Children count from the moment they have ended,
 * which is when the kernel hands their time to us; outside Linux they are not counted, and `children` says so.
 */
export function readCpuTime(): { readonly totalMs: number; readonly children: boolean } {
  const { user, system } = process.cpuUsage();
  const ownMs = (user + system) / 1000;
  const childrenMs = readChildrenMs();
  return { totalMs: ownMs + (childrenMs ?? 0), children: childrenMs !== undefined };
}

function readChildrenMs(): number | undefined {
  let stat: string;
  try {
    stat = readFileSync('/proc/self/stat', 'utf8');
  } catch {
    return undefined;
  }
  // The second field is the program's name in brackets and may hold blanks: count from the last bracket. See proc(5): cutime 16, cstime 17.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[13]) + Number(fields[14])) * millisecondsPerTick;
}
