import { createServer } from 'node:http';

/** As much of a schema registry as the services and the reader of results ask for, in memory: a load test is not about the registry. */
export async function startLoadRegistry(): Promise<{ readonly url: string; close(): Promise<void> }> {
  /** The body of each registration, by id less one. */
  const registered: string[] = [];
  const server = createServer((request, response) => {
    let text = '';
    request.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
    request.on('end', () => {
      response.setHeader('content-type', 'application/json');
      const asked = registered[Number(/^\/schemas\/ids\/(\d+)/.exec(request.url ?? '')?.[1]) - 1];
      if (request.url?.startsWith('/config/') === true) {
        response.end(JSON.stringify({ compatibilityLevel: 'FULL_TRANSITIVE' }));
      } else if (request.method === 'POST') {
        if (!registered.includes(text)) registered.push(text);
        response.end(JSON.stringify({ id: registered.indexOf(text) + 1 }));
      } else if (asked !== undefined) {
        response.end(JSON.stringify({ schema: (JSON.parse(asked) as { readonly schema: string }).schema }));
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
