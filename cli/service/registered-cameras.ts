import { randomUUID } from 'node:crypto';
import { resolve } from 'node:path';
import type { CameraRegistration } from '#schemas';
import { AppError } from '#shared/core/errors';
import type { SecretBox } from '#shared/core/secret-box';
import { createLogger } from '#shared/runtime/logger';
import { packageVersion } from '#shared/runtime/package-version';
import { loadSecretBox } from '#shared/runtime/secret-key';
import { systemClock } from '#shared/runtime/system-clock';
import { createTopicCameraRegistry, type TopicCameraRegistry } from '#shared/store/topic-camera-registry';
import { registrationFromInput } from '../../services/ingest/core/camera-registration.ts';
import { looksLikeUrl } from '../../services/ingest/core/camera-url.ts';
import { defaultStateDirectory } from '../model-directories.ts';
import type { CameraActions, TopicFlags } from '../camera/camera-flags.ts';
import { parseCameraFlag, readPassword, substituteVariables } from '../run/camera-specs.ts';
import { textTable, type Column } from '../results/text-table.ts';
import { openServiceConnection } from './service-connection.ts';
import { loadServiceSettings } from './service-settings.ts';

/** What Kafka and the registry get to answer; a command for people does not wait for ever. */
const answerTimeoutMs = 15_000;

/** `sightline camera list|add|remove` on the topic of the cameras, without an API. */
export const topicActions: CameraActions = { list: listCameras, add: addCamera, remove: removeCameras };

async function addCamera(text: string, flags: TopicFlags): Promise<void> {
  const [id, { url: given }] = parseCameraFlag(text);
  const url = substituteVariables(id, given, process.env);
  const { passwordFile, tag = [] } = flags;
  if (tag.length > 0) throw new AppError('SIGHTLINE_USAGE', '--tag needs the API');
  await withRegistry(flags, async (cameras, secretBox) => {
    const previous = await cameras.get(id);
    const { fps, priority } = flags;
    const registration = registrationFromInput(
      {
        camera_id: id,
        // The services have another working directory.
        url: looksLikeUrl(url) ? url : resolve(url),
        ...(fps === undefined ? {} : { fps }),
        ...(priority === undefined ? {} : { priority }),
        ...(flags.filter === undefined ? {} : { filter: flags.filter === 'auto' ? 'AUTO' : 'OFF' }),
        ...(flags.transport === undefined ? {} : { transport: flags.transport === 'udp' ? 'UDP' : 'TCP' }),
        ...(flags.password === undefined ? {} : { password: flags.password }),
        ...(passwordFile === undefined ? {} : { password: readPassword(id, passwordFile) }),
        ...(flags.loop === undefined ? {} : { loop: flags.loop }),
        ...(flags.allowHttp === undefined ? {} : { allow_http: flags.allowHttp }),
        ...(flags.tlsInsecure === undefined ? {} : { tls_insecure: flags.tlsInsecure }),
      },
      {
        secretBox,
        nowUs: systemClock.nowUs(),
        by: 'sightline camera add',
        allowFiles: true,
        ...(previous === undefined ? {} : { previous }),
      },
    );
    const stored = await cameras.put(registration, { expectedVersion: previous?.config_version ?? 0 });
    print(`${id}: registered, version ${stored.config_version}\n`);
  });
}

async function removeCameras(ids: readonly string[], flags: TopicFlags): Promise<void> {
  await withRegistry(flags, async (cameras) => {
    for (const id of ids) {
      await cameras.remove(id);
      print(`${id}: removed\n`);
    }
  });
}

async function listCameras(flags: TopicFlags): Promise<void> {
  await withRegistry(flags, async (cameras) => {
    const list = await cameras.list();
    if (flags.json === true) {
      // Sealed, but nothing that anybody has to see.
      print(
        `${JSON.stringify(
          list.map(({ sealed_credentials: _, ...shown }) => shown),
          null,
          2,
        )}\n`,
      );
      return;
    }
    print(textTable(columns, list));
  });
}

const columns: readonly Column<CameraRegistration>[] = [
  { title: 'camera', align: 'left', text: ({ camera_id: id }) => id },
  { title: 'enabled', align: 'left', text: ({ enabled }) => (enabled ? 'yes' : 'no') },
  { title: 'fps', text: ({ fps }) => String(fps) },
  { title: 'priority', text: ({ priority }) => String(priority) },
  { title: 'url', align: 'left', text: ({ url }) => url },
];

async function withRegistry(
  flags: TopicFlags,
  work: (cameras: TopicCameraRegistry, secretBox: SecretBox) => Promise<void>,
): Promise<void> {
  const { brokers, registry, prefix, stateDir } = flags;
  const settings = loadServiceSettings(
    { flags: { brokers, registry, state_dir: stateDir, topics: prefix === undefined ? {} : { prefix } } },
    process.env,
  );
  const secretBox = await loadSecretBox(process.env, settings.state_dir ?? defaultStateDirectory(process.env));
  const logger = await createLogger({ level: 'error', format: 'auto' });
  const clock = systemClock;
  const connection = await openServiceConnection({
    settings,
    environment: process.env,
    producer: { service: 'command', instance_id: randomUUID(), version: packageVersion },
    clock,
    logger,
  });
  const { bus, topics, serdes } = connection;
  const cameras = createTopicCameraRegistry({
    bus,
    topic: topics.cameras,
    openReader: () => connection.openReader(),
    serdeOf: serdes.serdeOf,
    clock,
    logger,
  });
  try {
    const limit = AbortSignal.timeout(answerTimeoutMs);
    await connection.ready([topics.cameras.name], limit).catch((error: unknown) => {
      if (!limit.aborted) throw error;
      throw new AppError('SIGHTLINE_KAFKA_UNREACHABLE', connection.waitsFor ?? 'no answer in time', { cause: error });
    });
    await cameras.open();
    await work(cameras, secretBox);
  } finally {
    await cameras.close();
    await connection.close();
  }
}

function print(text: string): void {
  process.stdout.write(text);
}
