/**
 * Who may import whom. Each rule is one line of docs/architecture.md, and test/unit/house/import-rules.test.ts plants a fault for each
 * to show that it bites: a rule without such a fault fails that test.
 */

/** An outside package and the only place that knows it; swapping the package is a change of that place. */
const packageHomes = {
  'onnxruntime-node': '^services/inference/adapters/onnxruntime/',
  avsc: '^services/shared/codec/',
  'fluent-ffmpeg': '^services/ingest/adapters/fluent-ffmpeg-probe\\.ts$',
  pino: '^services/shared/runtime/',
  'pino-pretty': '^services/shared/runtime/',
  'prom-client': '^services/shared/runtime/',
  fastify: '^services/(shared/runtime|control/adapters/http)/',
  '@fastify/helmet': '^services/control/adapters/http/',
  '@fastify/rate-limit': '^services/control/adapters/http/',
  '@fastify/static': '^services/control/adapters/http/',
  '@fastify/swagger': '^services/control/adapters/http/',
  '@fastify/type-provider-typebox': '^services/control/adapters/http/',
  '@fastify/websocket': '^services/control/adapters/http/',
  'js-yaml': '^services/shared/runtime/load-yaml\\.ts$',
  commander: '^cli/',
  picocolors: '^cli/',
  'openapi-fetch': '^cli/api/',
  kafkajs: '^services/shared/bus/kafka/kafkajs/',
  '@platformatic/kafka': '^services/shared/bus/kafka/platformatic/',
  jose: '^services/control/adapters/jose/',
  onvif: '^services/ingest/adapters/onvif/',
  ioredis: '^services/shared/store/redis/',
  preact: '^web/src/',
  uplot: '^web/src/ui/chart\\.tsx$',
  sharp: '^services/shared/images/',
};

const code = '^(services|schemas|cli|models|web/src)/';

/** A package as it is named when it resolves, and when it does not (an optional one that is not installed). */
const asPackage = (name) => `(^|node_modules/)${name}(/|$)`;

const homeRules = Object.entries(packageHomes).map(([name, home]) => ({
  name: `one-home-for-${name}`,
  comment: `${name} is imported from ${home} and nowhere else.`,
  severity: 'error',
  from: { path: code, pathNot: home },
  to: { path: asPackage(name) },
}));

export default {
  forbidden: [
    {
      name: 'service-not-to-service',
      comment: 'Services meet in schemas/ and on the bus, never by import.',
      severity: 'error',
      from: { path: '^services/(?!shared/)([^/]+)/' },
      to: { path: '^services/', pathNot: '^services/($1|shared)/' },
    },
    {
      name: 'shared-not-to-service',
      comment: 'What is shared knows nobody who uses it.',
      severity: 'error',
      from: { path: '^services/shared/' },
      to: { path: '^services/(?!shared/)' },
    },
    {
      name: 'services-not-to-command-line',
      comment: 'Only cli/ composes services; a service never reaches back.',
      severity: 'error',
      from: { path: '^(services|schemas)/' },
      to: { path: '^(cli|tools|loadtest)/' },
    },
    {
      name: 'nobody-imports-main',
      comment: 'main.ts wires and is started, never imported. The launcher of the command is the one that starts it.',
      severity: 'error',
      from: { pathNot: '^cli/bin\\.mjs$' },
      to: { path: '(^|/)main\\.ts$', pathNot: 'node_modules/' },
    },
    {
      name: 'core-stays-pure',
      comment:
        'core/ decides with values: it imports core/, schemas/ and node:crypto for hashing; no package, no I/O, no adapter.',
      severity: 'error',
      from: { path: '^services/([^/]+)/core/' },
      to: { pathNot: '^services/($1|shared)/core/|^schemas/|^(node:)?crypto$' },
    },
    {
      name: 'schemas-import-nothing',
      comment: 'What crosses the bus stands by itself. node:fs is how it reads its own .avsc files.',
      severity: 'error',
      from: { path: '^schemas/' },
      to: { pathNot: '^schemas/|^(node:)?fs$' },
    },
    {
      name: 'page-stands-alone',
      comment:
        'The page runs in a browser and meets the rest over HTTP: it imports itself, preact and uplot, and the types of the API.',
      severity: 'error',
      from: { path: '^web/src/' },
      to: { pathNot: '^web/src/|^cli/api/api-types\\.ts$|(^|node_modules/)(preact|uplot)(/|$)' },
    },
    {
      name: 'nobody-imports-the-page',
      comment: 'The page is built and served as files.',
      severity: 'error',
      from: { pathNot: '^(web|test)/' },
      to: { path: '^web/' },
    },
    {
      name: 'page-core-stays-pure',
      comment: 'web/src/core decides with values: no browser, no preact, no request.',
      severity: 'error',
      from: { path: '^web/src/core/' },
      to: { pathNot: '^web/src/core/' },
    },
    {
      name: 'code-not-to-tests',
      comment: 'Tests know the code; the code does not know the tests.',
      severity: 'error',
      from: { path: code },
      to: { path: '^(test|loadtest)/' },
    },
    {
      name: 'no-development-package-in-code',
      comment: 'A package that the product needs at run time belongs in dependencies.',
      severity: 'error',
      // The page's packages are built into it.
      from: { path: code, pathNot: '^web/' },
      to: { dependencyTypes: ['npm-dev'], dependencyTypesNot: ['type-only'], pathNot: 'node_modules/@types/' },
    },
    {
      name: 'no-undeclared-package',
      comment: 'An import that works only because another package brought it breaks with the next install.',
      severity: 'error',
      from: { path: '^(services|schemas|cli|models|web|test|loadtest|tools)/' },
      to: { dependencyTypes: ['npm-no-pkg', 'npm-unknown'] },
    },
    {
      name: 'everything-resolves',
      comment: 'An import that leads nowhere.',
      severity: 'error',
      from: {},
      to: { couldNotResolve: true, pathNot: Object.keys(packageHomes).map(asPackage).join('|') },
    },
    {
      name: 'no-circle',
      comment: 'Two files that need each other are one file, or want a third.',
      severity: 'error',
      from: { path: '^(services|schemas|cli|models|web|test|loadtest|tools)/' },
      to: { circular: true },
    },
    {
      name: 'no-orphan',
      comment: 'A file that imports nothing and is imported by nobody.',
      severity: 'error',
      // Declarations for an outside module are found by the compiler, not imported.
      from: { orphan: true, path: '^(services|schemas|cli|models)/.*\\.ts$', pathNot: '\\.d\\.ts$' },
      to: {},
    },
    ...homeRules,
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    exclude: { path: '(^|/)(test/fixtures|coverage|\\.venv)/' },
    // Type imports count: a package's types in a signature tie us to it as much as its code does.
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'require', 'node', 'default', 'types'],
      extensions: ['.ts', '.tsx', '.mjs', '.js', '.cjs', '.json', '.d.ts'],
    },
  },
};
