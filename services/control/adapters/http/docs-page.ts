type Json = Readonly<Record<string, unknown>>;

/** The reference for people: made from the OpenAPI document, without a script and without anything from elsewhere, so it reads offline. */
export function docsPage(document: Json): string {
  const paths = objectOf(document['paths']);
  const schemas = objectOf(objectOf(document['components'])['schemas']);
  const operations = Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(objectOf(methods)).map(([method, operation]) => operationText(path, method, objectOf(operation))),
  );
  const named = Object.entries(schemas).map(
    ([name, schema]) =>
      `<h3 id="${escape(name)}">${escape(name)}</h3><pre>${escape(JSON.stringify(schema, undefined, 2))}</pre>`,
  );
  return `<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Sightline API</title><style>
:root{color-scheme:light dark}body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}
code,pre{font:14px/1.4 ui-monospace,monospace}pre{overflow:auto;padding:.7rem;border:1px solid #8886;border-radius:4px}
section{border-top:1px solid #8886;padding:.7rem 0}b{display:inline-block;min-width:4rem}
</style></head><body><main><h1>Sightline API</h1>
<p>Machine-readable: <a href="/openapi.json">/openapi.json</a>. Every call but those marked public sends <code>Authorization: Bearer TOKEN</code>.
Failures are <code>application/problem+json</code> with a stable <code>code</code>, what happened and what to do.</p>
${operations.join('\n')}<h2>Schemas</h2>${named.join('\n')}</main></body></html>`;
}

function operationText(path: string, method: string, operation: Json): string {
  const responses = Object.entries(objectOf(operation['responses'])).filter(([status]) => status.startsWith('2'));
  const answers = responses.map(([status, response]) => `${escape(status)} ${linksTo(response)}`);
  const takes = linksTo(operation['requestBody']);
  return `<section><b>${escape(method.toUpperCase())}</b> <code>${escape(path)}</code>
<div>${escape(operation['summary'])} <em>${escape(operation['x-access'])}</em></div>
<div>${takes === '' ? '' : `takes ${takes}, `}answers ${answers.join(', ')}</div></section>`;
}

/** The names of the schemas that a part of an operation refers to. */
function linksTo(part: unknown): string {
  const names = JSON.stringify(part ?? {}).matchAll(/#\/components\/schemas\/(\w+)/g);
  return [...new Set(Array.from(names, ([, name = '']) => name))]
    .map((name) => `<a href="#${name}">${name}</a>`)
    .join(', ');
}

function objectOf(value: unknown): Json {
  return typeof value === 'object' && value !== null ? (value as Json) : {}; // an object's members may be anything
}

function escape(value: unknown): string {
  const text = typeof value === 'string' ? value : '';
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;');
}
