import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { chmod, copyFile, mkdtemp, rm } from 'node:fs/promises';
import { connect, createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface VlcServer {
  readonly url: string;
  stop(): Promise<void>;
}

const startTimeoutMs = 20_000;
const nobody = '65534';

/** Whether VLC is on this machine; says what is missing where it is not. */
export function hasVlcServer(): boolean {
  const found = existsSync('/usr/bin/cvlc') && existsSync('/usr/bin/setpriv');
  if (!found) process.stderr.write('VLC absent, its tests are skipped: apt-get install vlc-bin vlc-plugin-base\n');
  return found;
}

/** Serves a clip in a loop by VLC's RTSP server, which speaks UDP only. */
export async function startVlcServer(clip: string): Promise<VlcServer> {
  const folder = await mkdtemp(join(tmpdir(), 'sightline-vlc-'));
  // VLC refuses to run as root, and nobody may not read everywhere.
  await chmod(folder, 0o777);
  const copy = join(folder, 'clip.mp4');
  await copyFile(clip, copy);
  await chmod(copy, 0o644);
  const port = await freePort();
  const url = `rtsp://127.0.0.1:${port}/live`;
  const asNobody = process.getuid?.() === 0 ? [`--reuid=${nobody}`, `--regid=${nobody}`, '--clear-groups'] : [];
  const play = ['cvlc', '-I', 'dummy', '--no-audio', '--loop', copy, '--sout', `#rtp{sdp=${url}}`, '--sout-keep'];
  const child = spawn('setpriv', [...asNobody, '--pdeathsig', 'KILL', ...play], {
    stdio: 'ignore',
    env: { ...process.env, HOME: folder },
  });
  const exited = once(child, 'exit');
  const stop = async (): Promise<void> => {
    child.kill('SIGKILL');
    await exited;
    await rm(folder, { recursive: true, force: true });
  };
  try {
    await waitForPort(port, child);
  } catch (error) {
    await stop();
    throw error;
  }
  return { url, stop };
}

async function freePort(): Promise<number> {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

async function waitForPort(port: number, child: { readonly exitCode: number | null }): Promise<void> {
  const deadline = Date.now() + startTimeoutMs;
  while (Date.now() < deadline && child.exitCode === null) {
    const socket = connect(port, '127.0.0.1');
    const isUp = await once(socket, 'connect').then(
      () => true,
      () => false,
    );
    socket.destroy();
    if (isUp) return;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error(`VLC did not listen on port ${port}`);
}
