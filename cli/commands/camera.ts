import { Option, type Command } from 'commander';
import type { CameraActions, MakeFlags, SettingFlags, TopicFlags } from '../camera/camera-flags.ts';
import { withApi } from '../api/api-options.ts';
import { registerCameraDiscover } from './camera-discover.ts';
import { registerCameraProbe } from './camera-probe.ts';
import { number, wholeNumber } from '../option-values.ts';

const topicHelp = `
It speaks to the API at --url. With --brokers, or where KAFKA_BROKERS is set and neither --url nor SIGHTLINE_API is, it reads and writes the
topic of the cameras of the services on Kafka instead: without an API, and without trying the camera first.`;

const addHelp = `${topicHelp}

Credentials are sealed where they are kept. --password-file, or \${NAME} in the URL (in quotes), keeps them out of the shell's history.

Examples:
  $ sightline camera add front=rtsp://viewer@10.0.0.9/stream1 --password-file front.secret
  $ sightline camera add yard='rtsp://\${YARD_USER}:\${YARD_PASSWORD}@10.0.0.10/main' --fps 2 --tag site=north
  $ sightline camera add gate --make hikvision --host 10.0.0.5 --stream sub --user viewer`;

const importHelp = `
The file is JSON or YAML: what \`camera export\` gives, a list of cameras, or the \`cameras:\` of a settings file; \${NAME} in a URL comes from the
environment, password_file is read. Cameras are not tried; \`sightline status\` tells how they do. Those that are wrong are named and stop none of
the others. Exit code 1 where one was not taken.`;

/** `sightline camera list|show|add|set|probe|discover|templates|remove|enable|disable|import|export`. */
export function registerCameraCommands(program: Command): void {
  const camera = program.command('camera').description('register, change, list and try cameras');

  withTopic(withApi(camera.command('list')))
    .description('list cameras with their state')
    .option('--state <state>', 'only those in this state, for example OFFLINE')
    .option('--json', 'print them as JSON')
    .addHelpText('after', topicHelp)
    .action(async (flags: TopicFlags & { readonly state?: string }) => {
      await (await actions(flags)).list(flags);
    });

  withApi(camera.command('show'))
    .description('what is known of a camera: settings, state with its reason, what became of its frames')
    .argument('<id>')
    .option('--json', 'print it as JSON')
    .action(async (id: string, flags: SettingFlags) => {
      await (await import('../camera/camera-actions.ts')).showCamera(id, flags);
    });

  withTopic(withSettings(withApi(camera.command('add'))))
    .description('try a camera and register it; one that does not work is not kept, with the reason')
    .argument('<id=url>', 'its id and where its pictures come from; with --make the id alone')
    .option('--make <make>', 'in place of a URL: where cameras of this make have their streams (`camera templates`)')
    .option('--host <host>', 'of --make: address of the camera, with :PORT where it is not 554')
    .option('--channel <n>', 'of --make: which camera of a recorder (default: 1)', wholeNumber)
    .addOption(
      new Option('--stream <which>', 'of --make: the full picture or the smaller one (default: main)').choices([
        'main',
        'sub',
      ]),
    )
    .option('--user <name>', 'of --make: a user of the camera; the password is asked for at a terminal')
    .option('--save-anyway', 'keep it though it does not work now, or no capacity is left')
    .option('--no-probe', 'do not try it first')
    .option('--json', 'print the answer as JSON')
    .addHelpText('after', addHelp)
    .action(async (given: string, options: TopicFlags & MakeFlags) => {
      const { text, flags } = await (await import('../camera/camera-by-make.ts')).byMake(given, options);
      await (await actions(flags)).add(text, flags);
    });

  withSettings(withApi(camera.command('set')))
    .description('change a camera; what is left out stays')
    .argument('<id>')
    .option('--address <url>', 'where its pictures come from')
    .option('--if-version <n>', 'only where this is still its version (`camera show`)', wholeNumber)
    .option('--save-anyway', 'keep the change though the camera does not work with it now, or no capacity is left')
    .option('--no-probe', 'do not try it first')
    .option('--json', 'print the camera as JSON')
    .action(async (id: string, flags: SettingFlags) => {
      await (await import('../camera/camera-actions.ts')).setCamera(id, flags);
    });

  registerCameraProbe(camera);
  registerCameraDiscover(camera);

  withTopic(withApi(camera.command('remove')))
    .description('remove cameras')
    .argument('<id...>')
    .addHelpText('after', topicHelp)
    .action(async (ids: readonly string[], flags: TopicFlags) => {
      await (await actions(flags)).remove(ids, flags);
    });

  for (const [name, description] of [
    ['enable', 'start reading cameras; one that ended or was refused is tried again'],
    ['disable', 'stop reading cameras, and keep them'],
  ] as const) {
    withApi(camera.command(name))
      .description(description)
      .argument('<id...>')
      .action(async (ids: readonly string[], flags: SettingFlags) => {
        await (await import('../camera/camera-actions.ts')).switchCameras(ids, name, flags);
      });
  }

  withApi(camera.command('import'))
    .description('register many cameras from a file')
    .argument('<file>', 'JSON or YAML; - for standard input')
    .option('--update', 'change those that exist; else they count as wrong')
    .option('--json', 'print the outcome as JSON')
    .addHelpText('after', importHelp)
    .action(async (file: string, flags: SettingFlags & { readonly update?: true }) => {
      await (await import('../camera/import-cameras.ts')).importCameras(file, flags);
    });

  withApi(camera.command('export'))
    .description('print all cameras as JSON that `camera import` takes; passwords are left out')
    .action(async (flags: SettingFlags) => {
      await (await import('../camera/camera-actions.ts')).exportCameras(flags);
    });
}

function withSettings(command: Command): Command {
  return command
    .option('--fps <n>', 'frames per second to sample', number)
    .addOption(new Option('--filter <mode>', 'leave out frames without change').choices(['off', 'auto']))
    .addOption(new Option('--transport <kind>', 'how RTP comes').choices(['tcp', 'udp']))
    .option('--priority <1..10>', 'share of inference while cameras wait for each other', wholeNumber)
    .option(
      '--tag <name=value>',
      'a label in every record, `name=` takes it away; may be given several times',
      collect,
      [],
    )
    .option('--password-file <file>', 'read the password of the camera from a file')
    .option('--loop', 'start a file over when it ends')
    .option('--no-loop')
    .option('--allow-http', 'take http(s) cameras (MJPEG, HLS)')
    .option('--no-allow-http')
    .option('--tls-insecure', 'accept a certificate that cannot be verified')
    .option('--no-tls-insecure');
}

function withTopic(command: Command): Command {
  return command
    .option('--brokers <host:port,…>', 'use the topic of the services on Kafka instead of the API')
    .option('--registry <url>', 'of --brokers: the schema registry (default: SCHEMA_REGISTRY_URL)')
    .option('--prefix <name>', "of --brokers: what the names of topics begin with (default: 'sightline')")
    .option(
      '--state-dir <dir>',
      'of --brokers: where the key for credentials is, unless SIGHTLINE_SECRET_KEY(_FILE) says',
    );
}

async function actions(flags: TopicFlags): Promise<CameraActions> {
  const { KAFKA_BROKERS: brokers, SIGHTLINE_API: api } = process.env;
  const isTopic =
    flags.brokers !== undefined || (brokers !== undefined && flags.url === undefined && api === undefined);
  if (isTopic) return (await import('../service/registered-cameras.ts')).topicActions;
  return (await import('../camera/camera-actions.ts')).apiActions;
}

function collect(text: string, before: readonly string[]): readonly string[] {
  return [...before, text];
}
