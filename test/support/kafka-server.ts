import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, open, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import { homedir, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

/** As docker-compose.yml has it; docs/kafka.md says why not a later one. */
const kafkaVersion = '4.1.0';

export interface KafkaServerOptions {
  /** Default 1. */
  readonly nodes?: number;
  /** Further broker settings, for example `{ 'message.max.bytes': '2000000' }`. */
  readonly config?: Readonly<Record<string, string>>;
  readonly heapMb?: number;
  /** One more listener, for SCRAM-SHA-512 over TLS. Those who sign in there may do what rules allow, the others everything. One node only. */
  readonly secure?: {
    /** Key and certificates in PEM. */
    readonly keystoreFile: string;
    /** Passwords by user. */
    readonly users: Readonly<Record<string, string>>;
  };
}

export interface KafkaNode {
  readonly id: number;
  readonly address: string;
  readonly pid: number;
  /** SIGKILL, and waits for the end. */
  kill(): Promise<void>;
  /** Starts it again on the same ports and data; resolves when it answers. */
  restart(): Promise<void>;
  freeze(): void;
  thaw(): void;
}

export interface KafkaServer {
  readonly brokers: readonly string[];
  /** Addresses of the listener that `secure` asks for. */
  readonly secureBrokers: readonly string[];
  /** Empty where the server is somebody else's (KAFKA_BROKERS): then nothing can be killed. */
  readonly nodes: readonly KafkaNode[];
  /** CPU milliseconds of all nodes since their start. */
  cpuMs(): Promise<number>;
  stop(): Promise<void>;
}

/** Why no Kafka can be had here, or undefined where it can. Names what is missing in one line. */
export function kafkaUnavailable(): string | undefined {
  if (process.env['KAFKA_BROKERS'] !== undefined) return undefined;
  const missing = ['java', ...(existsSync(join(cacheFolder(), '.complete')) ? [] : ['mvn'])].filter(
    (command) => spawnSync(command, ['-version'], { stdio: 'ignore' }).error !== undefined,
  );
  return missing.length === 0
    ? undefined
    : `Kafka tests are skipped: ${missing.join(' and ')} not found (or set KAFKA_BROKERS to a running broker)`;
}

/** A real Kafka of our own in KRaft mode, or the one that KAFKA_BROKERS names. */
export async function startKafka(options: KafkaServerOptions = {}): Promise<KafkaServer> {
  const given = process.env['KAFKA_BROKERS'];
  if (given !== undefined) {
    return {
      brokers: given.split(','),
      secureBrokers: [],
      nodes: [],
      cpuMs: () => Promise.resolve(0),
      stop: () => Promise.resolve(),
    };
  }
  const libraries = await fetchKafka();
  const folder = await mkdtemp(join(tmpdir(), 'sightline-kafka-'));
  const nodes: OwnNode[] = [];
  const secureBrokers: string[] = [];
  const stop = async (): Promise<void> => {
    await Promise.all(nodes.map((node) => node.kill()));
    await rm(folder, { recursive: true, force: true });
  };
  try {
    const count = options.nodes ?? 1;
    const ports = await freePorts(count * 2 + 1);
    const securePort = ports[count * 2] ?? 0;
    const voters = Array.from(
      { length: count },
      (_, index) => `${String(index + 1)}@127.0.0.1:${String(ports[count + index])}`,
    );
    const prepared = await Promise.all(
      Array.from({ length: count }, async (_, index) => {
        const [id, port, controllerPort] = [index + 1, ports[index] ?? 0, ports[count + index] ?? 0];
        const plain = nodeSettings({ id, count, port, controllerPort, voters });
        const { secure } = options;
        const settings = {
          ...(secure === undefined ? plain : withSecureListener(plain, securePort, secure.keystoreFile)),
          ...options.config,
        };
        const paths = await prepareNode(libraries, join(folder, `node-${String(id)}`), settings, secure?.users);
        return new OwnNode(id, `127.0.0.1:${String(port)}`, paths, options.heapMb ?? 384);
      }),
    );
    nodes.push(...prepared);
    await Promise.all(nodes.map((node) => node.start()));
    if (options.secure !== undefined) secureBrokers.push(`127.0.0.1:${String(securePort)}`);
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    brokers: nodes.map((node) => node.address),
    secureBrokers,
    nodes,
    cpuMs: async () => (await Promise.all(nodes.map((node) => cpuMsOf(node.pid)))).reduce((sum, ms) => sum + ms, 0),
    stop,
  };
}

/** User and system time of a process, from the kernel. */
export async function cpuMsOf(pid: number): Promise<number> {
  const stat = await readFile(`/proc/${String(pid)}/stat`, 'utf8');
  // The command in parentheses may hold blanks; the fields are counted from behind it. 100 ticks a second on every Linux that we meet.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) * 10;
}

interface NodePaths {
  readonly libraries: string;
  readonly properties: string;
  readonly log: string;
}

class OwnNode implements KafkaNode {
  readonly id: number;
  readonly address: string;
  readonly #paths: NodePaths;
  readonly #heapMb: number;
  #shell: ChildProcess | undefined;
  #pid = 0;

  constructor(id: number, address: string, paths: NodePaths, heapMb: number) {
    this.id = id;
    this.address = address;
    this.#paths = paths;
    this.#heapMb = heapMb;
  }

  get pid(): number {
    return this.#pid;
  }

  async start(): Promise<void> {
    const { libraries, properties, log } = this.#paths;
    const logFile = await open(log, 'a');
    // The shell waits on a pipe from us: when this process is gone, however it went, the pipe ends and the server with it.
    const script = '"$@" </dev/null & echo $! >&3; cat >/dev/null; kill -9 $! 2>/dev/null; wait';
    const java = [
      'java',
      `-Xmx${String(this.#heapMb)}m`,
      '-XX:+UseSerialGC',
      '-cp',
      join(libraries, '*'),
      'kafka.Kafka',
      properties,
    ];
    const shell = spawn('sh', ['-c', script, 'sh', ...java], { stdio: ['pipe', logFile.fd, logFile.fd, 'pipe'] });
    await logFile.close();
    this.#shell = shell;
    this.#pid = await new Promise<number>((resolve, reject) => {
      shell.once('error', reject);
      shell.stdio[3]?.once('data', (data: Buffer) => resolve(Number(data.toString())));
    });
    const deadlineMs = performance.now() + 60_000;
    while (!(await answers(this.address))) {
      if (performance.now() > deadlineMs || !isAlive(this.#pid)) {
        const words = (await readFile(log, 'utf8')).slice(-2_000);
        throw new Error(`Kafka node ${String(this.id)} did not start:\n${words}`);
      }
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  async kill(): Promise<void> {
    const shell = this.#shell;
    if (shell === undefined) return;
    this.#shell = undefined;
    const ended = new Promise((resolve) => shell.once('exit', resolve));
    shell.stdin?.end();
    await ended;
  }

  async restart(): Promise<void> {
    await this.kill();
    await this.start();
  }

  freeze(): void {
    process.kill(this.#pid, 'SIGSTOP');
  }

  thaw(): void {
    process.kill(this.#pid, 'SIGCONT');
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

/** The port of clients opens when the broker is ready for them. */
function answers(address: string): Promise<boolean> {
  const [host, port] = address.split(':');
  return new Promise((resolve) => {
    const socket = connect({ host: host ?? '', port: Number(port) });
    const done = (result: boolean): void => {
      socket.destroy();
      resolve(result);
    };
    socket.once('connect', () => done(true));
    socket.once('error', () => done(false));
  });
}

async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer());
  // All are held open until all are known, or the same one would come twice.
  const ports = await Promise.all(
    servers.map(
      (server) =>
        new Promise<number>((resolve, reject) => {
          server.once('error', reject);
          server.listen(0, '127.0.0.1', () => {
            const address = server.address();
            resolve(typeof address === 'object' && address !== null ? address.port : 0);
          });
        }),
    ),
  );
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}

async function run(command: string, args: readonly string[], cwd: string): Promise<void> {
  const child = spawn(command, args, { cwd, stdio: ['ignore', 'pipe', 'pipe'] });
  let words = '';
  child.stdout.on('data', (data: Buffer) => (words += data.toString()));
  child.stderr.on('data', (data: Buffer) => (words += data.toString()));
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
  if (code !== 0) throw new Error(`${command} ended with ${String(code)}: ${words.slice(-2_000)}`);
}

function cacheFolder(): string {
  return join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'sightline', `kafka-${kafkaVersion}`);
}

/** The broker and what it needs, by Maven, once for each machine. */
async function fetchKafka(): Promise<string> {
  const folder = cacheFolder();
  if (existsSync(join(folder, '.complete'))) return folder;
  await mkdir(dirname(folder), { recursive: true });
  const work = await mkdtemp(join(dirname(folder), 'fetch-'));
  try {
    const pom = `<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>
<groupId>sightline</groupId><artifactId>kafka-for-tests</artifactId><version>1</version><packaging>pom</packaging>
<dependencies><dependency><groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>${kafkaVersion}</version></dependency></dependencies></project>
`;
    await writeFile(join(work, 'pom.xml'), pom);
    await run(
      'mvn',
      ['-q', '-B', 'dependency:copy-dependencies', '-DincludeScope=runtime', '-DoutputDirectory=libs'],
      work,
    );
    await writeFile(join(work, 'libs', '.complete'), '');
    // Another test process may have been quicker: then its copy stays.
    await rename(join(work, 'libs'), folder).catch((error: unknown) => {
      if (!existsSync(join(folder, '.complete'))) throw error;
    });
  } finally {
    await rm(work, { recursive: true, force: true });
  }
  return folder;
}

async function prepareNode(
  libraries: string,
  home: string,
  settings: Readonly<Record<string, string>>,
  users: Readonly<Record<string, string>> = {},
): Promise<NodePaths> {
  await mkdir(home, { recursive: true });
  const properties = join(home, 'server.properties');
  const lines = Object.entries({ ...settings, 'log.dirs': join(home, 'data') }).map(
    ([name, value]) => `${name}=${value}\n`,
  );
  await writeFile(properties, lines.join(''));
  const clusterId = 'c2lnaHRsaW5lLXRlc3RzIQ';
  await run(
    'java',
    [
      '-XX:TieredStopAtLevel=1',
      '-cp',
      join(libraries, '*'),
      'kafka.tools.StorageTool',
      'format',
      '-t',
      clusterId,
      '-c',
      properties,
      ...Object.entries(users).flatMap(([name, password]) => [
        '--add-scram',
        `SCRAM-SHA-512=[name=${name},password=${password}]`,
      ]),
    ],
    home,
  );
  return { libraries, properties, log: join(home, 'server.log') };
}

function nodeSettings(node: {
  id: number;
  count: number;
  port: number;
  controllerPort: number;
  voters: readonly string[];
}): Record<string, string> {
  const replicas = String(Math.min(node.count, 3));
  const inSync = node.count >= 3 ? '2' : '1';
  return {
    'process.roles': 'broker,controller',
    'node.id': String(node.id),
    'controller.quorum.voters': node.voters.join(','),
    listeners: `PLAINTEXT://127.0.0.1:${String(node.port)},CONTROLLER://127.0.0.1:${String(node.controllerPort)}`,
    'advertised.listeners': `PLAINTEXT://127.0.0.1:${String(node.port)}`,
    'controller.listener.names': 'CONTROLLER',
    'listener.security.protocol.map': 'PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT',
    'auto.create.topics.enable': 'false',
    'group.initial.rebalance.delay.ms': '0',
    'offsets.topic.replication.factor': replicas,
    'offsets.topic.num.partitions': '4',
    'transaction.state.log.replication.factor': replicas,
    'transaction.state.log.min.isr': inSync,
    'transaction.state.log.num.partitions': '4',
    'share.coordinator.state.topic.replication.factor': replicas,
    'share.coordinator.state.topic.min.isr': inSync,
    'min.insync.replicas': inSync,
    'log.segment.bytes': String(64 * 1024 * 1024),
    'log.flush.offset.checkpoint.interval.ms': '1000',
  };
}

function withSecureListener(
  settings: Readonly<Record<string, string>>,
  port: number,
  keystoreFile: string,
): Record<string, string> {
  const address = `SECURE://127.0.0.1:${String(port)}`;
  return {
    ...settings,
    listeners: `${settings['listeners'] ?? ''},${address}`,
    'advertised.listeners': `${settings['advertised.listeners'] ?? ''},${address}`,
    'listener.security.protocol.map': 'PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SECURE:SASL_SSL',
    'sasl.enabled.mechanisms': 'SCRAM-SHA-512',
    'listener.name.secure.scram-sha-512.sasl.jaas.config':
      'org.apache.kafka.common.security.scram.ScramLoginModule required;',
    'ssl.keystore.type': 'PEM',
    'ssl.keystore.location': keystoreFile,
    'authorizer.class.name': 'org.apache.kafka.metadata.authorizer.StandardAuthorizer',
    'super.users': 'User:ANONYMOUS',
    'allow.everyone.if.no.acl.found': 'false',
  };
}
