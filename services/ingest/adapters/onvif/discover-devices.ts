import { randomUUID } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { networkInterfaces } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { AppError } from '#shared/core/errors';
import type { FoundDevice } from '#shared/core/found-cameras';
import { maxAnswerBytes, readAnswer, searchMessage } from '../../core/onvif-discovery.ts';

export interface DiscoverOptions {
  readonly timeoutMs: number;
  readonly signal?: AbortSignal;
  /** Where to ask instead of by multicast on every network of this machine; for networks that let none through, and for tests. */
  readonly targets?: readonly { readonly address: string; readonly port: number }[];
}

const multicast = { address: '239.255.255.250', port: 3702 };
/** UDP gets lost: asked again after so long. */
const askAgainMs = 500;
/** A network full of cameras; more than that is somebody's game. */
const maxDevices = 1_000;

/**
 * Asks the networks of this machine for ONVIF devices (WS-Discovery) and gives those that answered in time. No device is connected to, and
 * no credentials are involved. Throws SIGHTLINE_DISCOVERY_FAILED where nothing could be sent.
 */
export async function discoverDevices({
  timeoutMs,
  signal,
  targets,
}: DiscoverOptions): Promise<readonly FoundDevice[]> {
  const messageId = randomUUID();
  const question = Buffer.from(searchMessage(messageId));
  const found = new Map<string, FoundDevice>();
  const stopping = AbortSignal.any([AbortSignal.timeout(timeoutMs), ...(signal === undefined ? [] : [signal])]);
  const sockets = (targets === undefined ? ownAddresses() : [undefined]).map((address) => {
    const socket = createSocket('udp4');
    // A network that is down says so here; others may be up.
    socket.on('error', () => undefined);
    socket.on('message', (answer, from) => {
      if (answer.byteLength > maxAnswerBytes || found.size >= maxDevices) return;
      const device = readAnswer(answer.toString('utf8'), messageId, from.address);
      // A camera on two networks answers on both, and may answer twice.
      if (device !== undefined && !found.has(device.urn)) found.set(device.urn, device);
    });
    return { socket, address };
  });
  try {
    let sent = 0;
    for (const { socket, address } of sockets) {
      socket.bind({ port: 0, ...(address === undefined ? {} : { address }) });
      const isBound = await once(socket, 'listening', { signal: stopping }).then(
        () => true,
        () => false,
      );
      if (isBound && address !== undefined) socket.setMulticastInterface(address);
    }
    for (let asked = 0; asked < 2 && !stopping.aborted; asked++) {
      for (const { socket } of sockets)
        for (const { address, port } of targets ?? [multicast]) {
          const isSent = await new Promise<boolean>((resolve) =>
            socket.send(question, port, address, (error) => resolve(error === null)),
          );
          if (isSent) sent++;
        }
      await sleep(askAgainMs, undefined, { signal: stopping }).catch(() => undefined);
    }
    if (sent === 0)
      throw new AppError('SIGHTLINE_DISCOVERY_FAILED', 'no network of this machine takes the search for cameras');
    if (!stopping.aborted) await once(stopping, 'abort');
  } finally {
    for (const { socket } of sockets) socket.close();
  }
  return [...found.values()].sort((one, other) => collator.compare(one.address, other.address));
}

const collator = new Intl.Collator('en', { numeric: true });

/** Each network is asked by its own address: else the system asks only the one that leads outside. */
function ownAddresses(): readonly string[] {
  return Object.values(networkInterfaces()).flatMap((addresses) =>
    (addresses ?? []).filter(({ family, internal }) => family === 'IPv4' && !internal).map(({ address }) => address),
  );
}
