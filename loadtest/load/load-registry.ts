import { createServer } from 'node:http';
import { createHash } from 'node:crypto';

/** As much of a schema registry as the services ask for, in memory: a load test is not about the registry. */
export async function startLoadRegistry(): Promise<{ readonly url: string; close(): Promise<void> }> {
  const ids = new Map<string, number>();
  const server = createServer((request, response) => {
    let text = '';
    request.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
    request.on('end', () => {
      response.setHeader('content-type', 'application/json');
      if (request.url?.startsWith('/config/') === true) {
        response.end(JSON.stringify({ compatibilityLevel: 'FULL_TRANSITIVE' }));
      } else if (request.method === 'POST') {
        const digest = createHash('sha256').update(text).digest('hex');
        const id = ids.get(digest) ?? ids.size + 1;
        ids.set(digest, id);
        response.end(JSON.stringify({ id }));
      } else {
        response.statusCode = 404;
        response.end('{}');
      }
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  return {
    url: `http://127.0.0.1:${String(port)}`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
