import { createServer } from 'node:http';
import { onTestFinished } from 'vitest';

export interface RegistryQuestion {
  readonly method: string;
  readonly path: string;
  readonly authorization: string | undefined;
  readonly body: unknown;
}

export interface ScriptedAnswer {
  readonly status: number;
  readonly body?: unknown;
  /** Instead of a body in JSON. */
  readonly text?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** An HTTP server that answers as the test says and keeps what it was asked. */
export async function startScriptedRegistry(
  answer: (question: RegistryQuestion) => ScriptedAnswer | undefined,
): Promise<{ readonly url: string; readonly questions: RegistryQuestion[]; close(): Promise<void> }> {
  const questions: RegistryQuestion[] = [];
  const server = createServer((request, response) => {
    let text = '';
    request.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
    request.on('end', () => {
      const question: RegistryQuestion = {
        method: request.method ?? '',
        path: request.url ?? '',
        authorization: request.headers.authorization,
        body: text === '' ? undefined : (JSON.parse(text) as unknown),
      };
      questions.push(question);
      const scripted = answer(question);
      // Undefined: a registry that hangs.
      if (scripted === undefined) return;
      response.writeHead(scripted.status, { 'content-type': 'application/json', ...scripted.headers });
      response.end(scripted.text ?? JSON.stringify(scripted.body ?? {}));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const close = (): Promise<void> =>
    new Promise((resolve) => {
      server.close(() => resolve());
      server.closeAllConnections();
    });
  onTestFinished(close);
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  return { url: `http://127.0.0.1:${String(port)}`, questions, close };
}
