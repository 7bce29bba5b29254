import { AppError } from '#shared/core/errors';
import { scrubSecrets } from '#shared/core/redact';

/**
 * The three questions that we have for a schema registry, over the REST interface that Confluent's, Apicurio's (`/apis/ccompat/v7`) and
 * Karapace share. By hand and not by a client package: the known one brings two more serialisers and an HTTP layer, has no limit for the size of
 * an answer, and keeps its own compiled types beside ours.
 */
export interface SchemaRegistry {
  readonly url: string;
  /**
   * Registers the schema under the subject, which from then on takes only schemas that all its versions can read and be read by
   * (FULL_TRANSITIVE). Gives the schema's id; the same schema has the same id each time.
   * Throws SIGHTLINE_REGISTRY_INCOMPATIBLE where the subject's versions and the schema do not fit.
   */
  register(subject: string, schema: unknown): Promise<number>;
  /** The schema that was registered under the id. Throws SIGHTLINE_REGISTRY_SCHEMA_UNKNOWN where there is none. */
  schemaById(id: number): Promise<unknown>;
}

export interface SchemaRegistryOptions {
  /** Without user name and password. */
  readonly url: string;
  readonly credentials?: { readonly username: string; readonly password: string };
  /** Of each request. Default 5 s. */
  readonly timeoutMs?: number;
}

const compatibility = 'FULL_TRANSITIVE';
const contentType = 'application/vnd.schemaregistry.v1+json';
/** Our largest schema has 12 kB. What is larger than this is not an answer to our question. */
const maxAnswerBytes = 1024 * 1024;
const conflictRetries = 2;
const conflictPauseMs = 200;

interface Answer {
  readonly status: number;
  readonly body: Readonly<Record<string, unknown>>;
}

export function createSchemaRegistry({ url, credentials, timeoutMs = 5_000 }: SchemaRegistryOptions): SchemaRegistry {
  const base = url.replace(/\/+$/, '');
  const headers: Record<string, string> = { accept: contentType, 'content-type': contentType };
  if (credentials !== undefined) {
    const { username, password } = credentials;
    headers['authorization'] = `Basic ${Buffer.from(`${username}:${password}`, 'utf8').toString('base64')}`;
  }

  async function ask(method: string, path: string, body?: unknown): Promise<Answer> {
    let response: Response;
    let text: string;
    try {
      response = await fetch(`${base}${path}`, {
        method,
        headers,
        // Credentials and schemas go where the setting says and nowhere else.
        redirect: 'error',
        signal: AbortSignal.timeout(timeoutMs),
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
      text = await readText(response);
    } catch (error) {
      if (error instanceof AppError) throw error;
      throw new AppError('SIGHTLINE_REGISTRY_UNREACHABLE', `${base} does not answer (${reasonOf(error)})`, {
        cause: error,
        retryable: true,
      });
    }
    if (response.status >= 500 || response.status === 429) {
      throw new AppError('SIGHTLINE_REGISTRY_UNREACHABLE', `${base} answers ${response.status}${wordsOf(text)}`, {
        retryable: true,
      });
    }
    return { status: response.status, body: parseObject(text) };
  }

  /** Apicurio answers 409 also to the slower of two that make the same thing in the same moment, as services do that start together. */
  async function change(method: 'POST' | 'PUT', path: string, body: unknown): Promise<Answer> {
    let answer = await ask(method, path, body);
    for (let again = 0; answer.status === 409 && again < conflictRetries; again++) {
      await new Promise((resolve) => setTimeout(resolve, conflictPauseMs));
      answer = await ask(method, path, body);
    }
    return answer;
  }

  const refused = (what: string, { status, body }: Answer): AppError =>
    new AppError('SIGHTLINE_REGISTRY_REFUSED', `${base} refused to ${what}: ${status}${wordsOf(body['message'])}`);

  /** False where there is no such subject yet. */
  async function setCompatibility(subject: string): Promise<boolean> {
    const path = `/config/${encodeURIComponent(subject)}`;
    const current = await ask('GET', path);
    if (current.status === 200 && current.body['compatibilityLevel'] === compatibility) return true;
    const changed = await change('PUT', path, { compatibility });
    if (changed.status === 404) return false;
    if (changed.status !== 200) throw refused(`set the compatibility of ${subject}`, changed);
    return true;
  }

  return {
    url: base,
    async register(subject, schema) {
      // Before, so that a version that does not fit is refused; after, because some registries forget the level of an empty subject.
      await setCompatibility(subject);
      const answer = await change('POST', `/subjects/${encodeURIComponent(subject)}/versions`, {
        schemaType: 'AVRO',
        schema: JSON.stringify(schema),
      });
      if (answer.status === 409) {
        const words = `the schema of ${subject} does not fit the versions registered at ${base}${wordsOf(answer.body['message'])}`;
        throw new AppError('SIGHTLINE_REGISTRY_INCOMPATIBLE', words);
      }
      const id = answer.body['id'];
      if (answer.status !== 200 || !isSchemaId(id)) throw refused(`register the schema of ${subject}`, answer);
      if (!(await setCompatibility(subject))) throw refused(`set the compatibility of ${subject}`, answer);
      return id;
    },
    async schemaById(id) {
      const answer = await ask('GET', `/schemas/ids/${id}`);
      if (answer.status === 404) {
        throw new AppError('SIGHTLINE_REGISTRY_SCHEMA_UNKNOWN', `${base} knows no schema with the id ${id}`);
      }
      const { schema, schemaType = 'AVRO' } = answer.body;
      if (answer.status !== 200 || typeof schema !== 'string') throw refused(`give the schema ${id}`, answer);
      if (schemaType !== 'AVRO') {
        throw new AppError('SIGHTLINE_RECORD_UNDECODABLE', `the schema ${id} of ${base} is not an Avro schema`);
      }
      return parseSchema(schema, id);
    },
  };
}

function isSchemaId(id: unknown): id is number {
  return typeof id === 'number' && Number.isInteger(id) && id >= 0 && id <= 0x7fff_ffff;
}

async function readText(response: Response): Promise<string> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  // The body of a response is a stream of bytes; its type in the DOM library says less.
  for await (const chunk of (response.body ?? []) as AsyncIterable<Uint8Array>) {
    bytes += chunk.length;
    if (bytes > maxAnswerBytes) {
      throw new AppError(
        'SIGHTLINE_REGISTRY_REFUSED',
        `an answer of more than ${maxAnswerBytes} bytes is not a registry's`,
      );
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function parseObject(text: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(text);
    // An object as JSON.parse makes it.
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}

function parseSchema(text: string, id: number): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch (error) {
    throw new AppError('SIGHTLINE_RECORD_UNDECODABLE', `the schema ${id} is not JSON`, { cause: error });
  }
}

function wordsOf(message: unknown): string {
  return typeof message === 'string' && message !== '' ? `: ${scrubSecrets(message.slice(0, 300))}` : '';
}

function reasonOf(error: unknown): string {
  for (let at: unknown = error; at instanceof Error; at = at.cause) {
    if ('code' in at && typeof at.code === 'string') return at.code;
    if (at.name === 'TimeoutError') return 'timed out';
  }
  return 'no connection';
}
