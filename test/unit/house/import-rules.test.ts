import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { cruise, type ICruiseOptions, type ICruiseResult, type IForbiddenRuleType } from 'dependency-cruiser';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

interface Rules {
  readonly forbidden: readonly (IForbiddenRuleType & { readonly name: string })[];
  readonly options: ICruiseOptions;
}

// A configuration file has no declaration; this is the form that dependency-cruiser takes.
const { default: rules } = (await import(new URL('../../../.dependency-cruiser.mjs', import.meta.url).href)) as {
  default: Rules;
};

interface Fault {
  readonly rule: string;
  /** Files of a small tree of our shape, by path. */
  readonly files: Readonly<Record<string, string>>;
}

const plain = 'export const one = 1;\n';
const importing = (specifier: string): string => `import '${specifier}';\nexport const two = 2;\n`;

/** For each rule, a tree that breaks it. Trees share a folder, so each keeps to names of its own. */
const faults: readonly Fault[] = [
  {
    rule: 'service-not-to-service',
    files: {
      'services/ingest/a-service.ts': importing('../inference/b-service.ts'),
      'services/inference/b-service.ts': plain,
    },
  },
  {
    rule: 'shared-not-to-service',
    files: {
      'services/shared/runtime/a-shared.ts': importing('../../ingest/b-shared.ts'),
      'services/ingest/b-shared.ts': plain,
    },
  },
  {
    rule: 'services-not-to-command-line',
    files: { 'services/ingest/a-cli.ts': importing('../../cli/b-cli.ts'), 'cli/b-cli.ts': plain },
  },
  {
    rule: 'nobody-imports-main',
    files: { 'cli/a-main.ts': importing('../services/ingest/main.ts'), 'services/ingest/main.ts': plain },
  },
  { rule: 'core-stays-pure', files: { 'services/ingest/core/a-io.ts': importing('node:fs') } },
  { rule: 'core-stays-pure', files: { 'services/ingest/core/a-package.ts': importing('typebox') } },
  {
    rule: 'core-stays-pure',
    files: {
      'services/ingest/core/a-adapter.ts': importing('../adapters/b-adapter.ts'),
      'services/ingest/adapters/b-adapter.ts': plain,
    },
  },
  {
    rule: 'core-stays-pure',
    files: {
      'services/shared/core/a-core.ts': importing('../runtime/b-core.ts'),
      'services/shared/runtime/b-core.ts': plain,
    },
  },
  { rule: 'schemas-import-nothing', files: { 'schemas/a-schema.ts': importing('node:path') } },
  {
    rule: 'code-not-to-tests',
    files: { 'services/ingest/a-test.ts': importing('../../test/support/b-test.ts'), 'test/support/b-test.ts': plain },
  },
  { rule: 'no-development-package-in-code', files: { 'services/ingest/a-dev.ts': importing('fast-check') } },
  { rule: 'no-undeclared-package', files: { 'services/ingest/a-undeclared.ts': importing('undeclared') } },
  { rule: 'everything-resolves', files: { 'services/ingest/a-lost.ts': importing('./nowhere.ts') } },
  {
    rule: 'no-circle',
    files: {
      'services/ingest/a-circle.ts': importing('./b-circle.ts'),
      'services/ingest/b-circle.ts': importing('./a-circle.ts'),
    },
  },
  // Types tie as well as code does.
  {
    rule: 'one-home-for-avsc',
    files: { 'services/results/a-type.ts': `import type { Type } from 'avsc';\nexport type Schema = Type;\n` },
  },
  {
    rule: 'page-stands-alone',
    files: { 'web/src/a-reach.ts': importing('../../schemas/b-reach.ts'), 'schemas/b-reach.ts': plain },
  },
  { rule: 'page-stands-alone', files: { 'web/src/a-node.ts': importing('node:fs') } },
  {
    rule: 'nobody-imports-the-page',
    files: { 'services/ingest/a-page.ts': importing('../../web/src/core/b-page.ts'), 'web/src/core/b-page.ts': plain },
  },
  {
    rule: 'page-core-stays-pure',
    files: { 'web/src/core/a-page-core.ts': importing('../api/b-request.ts'), 'web/src/api/b-request.ts': plain },
  },
  { rule: 'no-orphan', files: { 'services/ingest/a-orphan.ts': plain } },
  ...rules.forbidden
    .filter(({ name }) => name.startsWith('one-home-for-'))
    .map(({ name }) => ({
      rule: name,
      files: {
        [`services/analytics/a-${name}.ts`]: importing(name.replace('one-home-for-', '')),
        [`cli/commands/a-${name}.ts`]: importing(name.replace('one-home-for-', '')),
      },
    })),
];

/** What the rules allow, to show that they do not simply forbid everything. */
const allowed: Readonly<Record<string, string>> = {
  'cli/ok.ts': `import '../services/ingest/ok-service.ts';\nimport 'commander';\nexport const ok = 1;\n`,
  'cli/bin.mjs': `await import('./main.ts');\n`,
  'cli/main.ts': `await import('./ok.ts');\n`,
  'services/ingest/ok-service.ts': `import './core/ok-core.ts';\nimport '#shared/core/ok-core';\nimport 'node:fs';\nimport 'typebox';\n`,
  'services/ingest/core/ok-core.ts': `import '#shared/core/ok-core';\nimport 'node:crypto';\nimport '#schemas';\n`,
  'services/shared/core/ok-core.ts': `import '#schemas';\n`,
  'services/shared/codec/ok-avsc.ts': importing('avsc'),
  'services/inference/adapters/onnxruntime/ok-ort.ts': importing('onnxruntime-node'),
  'services/ingest/adapters/fluent-ffmpeg-probe.ts': importing('fluent-ffmpeg'),
  'schemas/index.ts': plain,
  'web/src/ui/ok-view.ts': `import '../core/ok-page.ts';\nimport 'preact';\n`,
  'web/src/core/ok-page.ts': plain,
  'test/unit/ok.test.ts': `import '../../services/ingest/ok-service.ts';\nimport 'fast-check';\nimport 'avsc';\n`,
};

const packages = {
  dependencies: ['typebox', 'commander', 'avsc', 'fluent-ffmpeg', 'onnxruntime-node', 'pino'],
  devDependencies: ['fast-check', 'preact', 'uplot'],
};

let violations: readonly { readonly rule: string; readonly from: string }[] = [];
let root = '';

beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), 'sightline-rules-'));
  const write = (path: string, text: string): void => {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text);
  };
  const versions = (names: readonly string[]): object => Object.fromEntries(names.map((name) => [name, '1.0.0']));
  write(
    'package.json',
    JSON.stringify({
      type: 'module',
      imports: { '#shared/*': './services/shared/*.ts', '#schemas': './schemas/index.ts' },
      dependencies: versions(packages.dependencies),
      devDependencies: versions(packages.devDependencies),
    }),
  );
  write(
    'tsconfig.json',
    JSON.stringify({
      compilerOptions: {
        module: 'nodenext',
        moduleResolution: 'nodenext',
        allowImportingTsExtensions: true,
        noEmit: true,
      },
    }),
  );
  for (const name of [...packages.dependencies, ...packages.devDependencies, 'undeclared']) {
    write(`node_modules/${name}/package.json`, JSON.stringify({ name, version: '1.0.0', main: 'index.js' }));
    write(`node_modules/${name}/index.js`, 'module.exports = {};\n');
  }
  for (const [path, text] of Object.entries(allowed)) write(path, text);
  for (const { files } of faults) for (const [path, text] of Object.entries(files)) write(path, text);

  const options: ICruiseOptions = {
    ...rules.options,
    baseDir: root,
    tsConfig: { fileName: join(root, 'tsconfig.json') },
    ruleSet: { forbidden: [...rules.forbidden] },
    validate: true,
  };
  const { output } = await cruise(['services', 'schemas', 'cli', 'web', 'test'], options);
  // Without an output type the result is the object.
  violations = (output as ICruiseResult).summary.violations.map(({ rule, from }) => ({ rule: rule.name, from }));
}, 30_000);

afterAll(() => {
  rmSync(root, { recursive: true, force: true });
});

describe('the import rules', () => {
  it.each(faults.map(({ rule, files }) => ({ rule, from: Object.keys(files)[0] ?? '' })))(
    '$rule catches $from',
    ({ rule, from }) => {
      expect(violations).toContainEqual({ rule, from });
    },
  );

  it('each have a planted fault here', () => {
    const tried = new Set(faults.map(({ rule }) => rule));
    expect(rules.forbidden.map(({ name }) => name).filter((name) => !tried.has(name))).toEqual([]);
  });

  it('leave alone what is allowed', () => {
    expect(violations.filter(({ from }) => from in allowed)).toEqual([]);
  });
});
