import { describe, expect, test } from 'vitest';
import { schemas } from '#schemas';
import { createSchemaRegistry } from '#shared/codec/schema-registry';
import { startScriptedRegistry, type RegistryQuestion, type ScriptedAnswer } from '../../support/scripted-registry.ts';

const { schema } = schemas['camera-status'];
const subject = 'a.camera-status-value';

/** A registry that keeps one subject, as Confluent's does it; `also` may answer instead. */
async function startRegistry(also: (question: RegistryQuestion) => ScriptedAnswer | undefined = () => undefined) {
  let level: string | undefined;
  let registered = false;
  return startScriptedRegistry((question) => {
    const scripted = also(question);
    if (scripted !== undefined) return scripted;
    const { method, path } = question;
    if (path.startsWith('/config/')) {
      if (method === 'PUT') level = (question.body as { compatibility: string }).compatibility;
      return level === undefined ? { status: 404 } : { status: 200, body: { compatibilityLevel: level } };
    }
    if (method === 'POST') {
      registered = true;
      return { status: 200, body: { id: 7 } };
    }
    if (path === '/schemas/ids/7' && registered) return { status: 200, body: { schema: JSON.stringify(schema) } };
    return { status: 404, body: { error_code: 40403, message: 'Schema not found' } };
  });
}

describe('a schema registry', () => {
  test('is told that all versions have to fit, before the schema', async () => {
    const { url, questions } = await startRegistry();
    expect(await createSchemaRegistry({ url: `${url}/` }).register(subject, schema)).toBe(7);
    const changes = questions.filter(({ method }) => method !== 'GET').map(({ path, body }) => [path, body]);
    expect(changes).toEqual([
      [`/config/${subject}`, { compatibility: 'FULL_TRANSITIVE' }],
      [`/subjects/${subject}/versions`, { schemaType: 'AVRO', schema: JSON.stringify(schema) }],
    ]);
  });

  test('that forgets the level of an empty subject is told again after the schema', async () => {
    let isRegistered = false;
    let level = 'BACKWARD';
    const { url } = await startRegistry(({ method, path, body }) => {
      if (method === 'POST') isRegistered = true;
      if (!path.startsWith('/config/')) return undefined;
      if (!isRegistered) return method === 'GET' ? { status: 404 } : { status: 200 };
      if (method === 'PUT') level = (body as { compatibility: string }).compatibility;
      return { status: 200, body: { compatibilityLevel: level } };
    });
    await createSchemaRegistry({ url }).register(subject, schema);
    expect(level).toBe('FULL_TRANSITIVE');
  });

  test('gives a schema by its id', async () => {
    const { url } = await startRegistry();
    const registry = createSchemaRegistry({ url });
    expect(await registry.schemaById(await registry.register(subject, schema))).toEqual(schema);
  });

  test('is given user name and password where there are any', async () => {
    const { url, questions } = await startRegistry();
    const credentials = { username: 'eva', password: 'pa:ss wörd' };
    await createSchemaRegistry({ url, credentials }).register(subject, schema);
    const expected = `Basic ${Buffer.from('eva:pa:ss wörd').toString('base64')}`;
    expect(new Set(questions.map(({ authorization }) => authorization))).toEqual(new Set([expected]));
  });

  test.each<[string, ScriptedAnswer | 'silence', string, boolean]>([
    ['a conflict', { status: 409, body: { error_code: 409, message: 'no' } }, 'SIGHTLINE_REGISTRY_INCOMPATIBLE', false],
    ['a refusal', { status: 401, body: { message: 'who are you' } }, 'SIGHTLINE_REGISTRY_REFUSED', false],
    ['a page instead of an id', { status: 200, text: '<html>' }, 'SIGHTLINE_REGISTRY_REFUSED', false],
    ['an id that does not fit 4 bytes', { status: 200, body: { id: 2 ** 31 } }, 'SIGHTLINE_REGISTRY_REFUSED', false],
    ['an endless answer', { status: 200, text: 'x'.repeat(2_000_000) }, 'SIGHTLINE_REGISTRY_REFUSED', false],
    ['its own trouble', { status: 503, text: 'starting' }, 'SIGHTLINE_REGISTRY_UNREACHABLE', true],
    ['silence', 'silence', 'SIGHTLINE_REGISTRY_UNREACHABLE', true],
    ['a way elsewhere', { status: 302, headers: { location: '/x' } }, 'SIGHTLINE_REGISTRY_UNREACHABLE', true],
  ])('that answers with %s is told apart', async (_what, answer, code, retryable) => {
    const { url } = await startScriptedRegistry(({ path }) => {
      if (path.startsWith('/config/')) return { status: 200, body: { compatibilityLevel: 'FULL_TRANSITIVE' } };
      return answer === 'silence' ? undefined : answer;
    });
    const registry = createSchemaRegistry({ url, timeoutMs: answer === 'silence' ? 200 : 5_000 });
    const asked = registry.register(subject, schema);
    await expect(asked).rejects.toMatchObject({ code, retryable });
    if (code === 'SIGHTLINE_REGISTRY_INCOMPATIBLE') await expect(asked).rejects.toThrow(subject);
  });

  test('that answers the slower of two services with a conflict is asked again', async () => {
    const conflicts = new Set<string>();
    const { url } = await startRegistry(({ method, path }) => {
      if (method === 'GET' || conflicts.has(path)) return undefined;
      conflicts.add(path);
      return { status: 409, body: { message: 'it already exists' } };
    });
    expect(await createSchemaRegistry({ url }).register(subject, schema)).toBe(7);
    expect(conflicts.size).toBe(2);
  });

  test('that is not there is told with its address', async () => {
    const server = await startRegistry();
    const { url } = server;
    await server.close();
    await expect(createSchemaRegistry({ url }).register(subject, schema)).rejects.toMatchObject({
      code: 'SIGHTLINE_REGISTRY_UNREACHABLE',
      message: expect.stringContaining(url) as string,
    });
  });

  test('that does not know an id says so for good', async () => {
    const { url } = await startRegistry();
    await expect(createSchemaRegistry({ url }).schemaById(99)).rejects.toMatchObject({
      code: 'SIGHTLINE_REGISTRY_SCHEMA_UNKNOWN',
      retryable: false,
    });
  });
});
