import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';

/** A network line to a server, with the faults that a line can have. */
export interface TcpLine {
  readonly port: number;
  /** Nothing comes through any more, and the connections stay open. */
  mute(): void;
  /** Leads new connections to another port: a server that came back. */
  leadTo(port: number): void;
  close(): void;
}

export async function startTcpLine(targetPort: number): Promise<TcpLine> {
  let target = targetPort;
  const fromTarget = new Set<Socket>();
  const server = createServer((incoming) => {
    const outgoing = connect(target, '127.0.0.1');
    fromTarget.add(outgoing);
    incoming.on('data', (bytes) => outgoing.write(bytes));
    outgoing.on('data', (bytes) => incoming.write(bytes));
    const ends = [
      [incoming, outgoing],
      [outgoing, incoming],
    ] as const;
    for (const [socket, other] of ends) {
      socket.on('error', () => undefined);
      socket.on('close', () => other.destroy());
    }
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    mute: () => {
      for (const socket of fromTarget) socket.pause();
    },
    leadTo: (port) => {
      target = port;
    },
    close: () => {
      for (const socket of fromTarget) socket.destroy();
      server.close();
    },
  };
}
