import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { createInterface } from 'node:readline';

export interface RtspServerOptions {
  /** Clip served at `/live`; or give `mounts`. */
  readonly clip?: string;
  /** Clips by path. */
  readonly mounts?: Readonly<Record<string, string>>;
  readonly user?: string;
  readonly password?: string;
  /** Default digest. */
  readonly auth?: 'basic' | 'digest';
  /** PEM files: the server then speaks rtsps only. */
  readonly tls?: { readonly certificateFile: string; readonly keyFile: string };
  /** Default true: the clip starts again at its end, with timestamps that go on. */
  readonly loop?: boolean;
  /** Adds a silent audio track. Default false. */
  readonly audio?: boolean;
  /** Default any free one; that of an earlier server makes it one that comes back. */
  readonly port?: number;
}

export interface RtspServer {
  readonly port: number;
  /** Of the first mount, without credentials. */
  readonly url: string;
  /** Of the first mount, with the credentials if there are any. */
  readonly urlWithCredentials: string;
  /** Ends it at once, as a camera that loses power. May be called twice. */
  stop(): Promise<void>;
}

// The bindings belong to the system's Python, not to one that happens to be first in PATH.
const python = '/usr/bin/python3';
const startTimeoutMs = 20_000;

let isAvailable: boolean | undefined;

/** Whether GStreamer's RTSP server is on this machine; says once what is missing where it is not. */
export function hasRtspServer(): boolean {
  isAvailable ??= checkBindings();
  return isAvailable;
}

function checkBindings(): boolean {
  const script = "import gi; gi.require_version('GstRtspServer', '1.0'); from gi.repository import GstRtspServer";
  const found = existsSync(python) && spawnSync(python, ['-c', script]).status === 0;
  if (!found) {
    process.stderr.write(
      'GStreamer RTSP server absent, its tests are skipped: apt-get install gir1.2-gst-rtsp-server-1.0 python3-gi ' +
        'gstreamer1.0-plugins-base gstreamer1.0-plugins-good gstreamer1.0-plugins-bad glib-networking\n',
    );
  }
  return found;
}

/** Starts a real RTSP server that plays clips as live cameras. Register `stop` for clean-up; it also ends with this process. */
export async function startRtspServer(options: RtspServerOptions): Promise<RtspServer> {
  const mounts = options.mounts ?? (options.clip === undefined ? {} : { '/live': options.clip });
  const settings = {
    mounts,
    user: options.user,
    password: options.password,
    auth: options.auth,
    certificateFile: options.tls?.certificateFile,
    keyFile: options.tls?.keyFile,
    loop: options.loop,
    audio: options.audio,
    port: options.port,
  };
  const script = resolve(import.meta.dirname, 'rtsp-server.py');
  // Its standard input stays open as long as we live: that is how it learns of our end, however we end.
  const child = spawn(python, [script, JSON.stringify(settings)], { stdio: ['pipe', 'pipe', 'pipe'] });
  const exited = once(child, 'exit');
  let errors = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    errors = (errors + text).slice(-4000);
  });
  const stop = async (): Promise<void> => {
    // Its feeders die with it (PR_SET_PDEATHSIG).
    child.kill('SIGKILL');
    await exited;
  };
  const lines = createInterface({ input: child.stdout });
  const timer = setTimeout(() => child.kill('SIGKILL'), startTimeoutMs);
  try {
    const firstLine = await Promise.race([
      once(lines, 'line').then(([line]) => String(line)),
      exited.then(() => Promise.reject(new Error(`the RTSP server ended: ${errors}`))),
    ]);
    const { port } = JSON.parse(firstLine) as { port: number };
    const scheme = options.tls === undefined ? 'rtsp' : 'rtsps';
    const path = Object.keys(mounts)[0] ?? '/';
    const userinfo =
      options.user === undefined
        ? ''
        : `${encodeURIComponent(options.user)}:${encodeURIComponent(options.password ?? '')}@`;
    return {
      port,
      url: `${scheme}://127.0.0.1:${port}${path}`,
      urlWithCredentials: `${scheme}://${userinfo}127.0.0.1:${port}${path}`,
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  } finally {
    clearTimeout(timer);
  }
}
