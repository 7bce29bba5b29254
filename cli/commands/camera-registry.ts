import { InvalidArgumentError, type Command } from 'commander';
import type { RegisteredCameraFlags } from '../service/registered-cameras.ts';
import { parseCameraFlag } from '../run/camera-specs.ts';

/** Adds `sightline camera add|remove|list`: the cameras of services on Kafka. */
export function registerCameraRegistryCommands(camera: Command): void {
  common(camera.command('add').description('register a camera with the services on Kafka, or change it'))
    .argument('<name=url>', 'its name and where its pictures come from; credentials are sealed')
    .option('--fps <n>', 'frames per second to sample (default: 5)', number)
    .option('--filter <off|auto>', 'leave out frames without change (default: off)')
    .option('--transport <tcp|udp>', 'how RTP comes (default: tcp)')
    .option('--priority <1..10>', 'share of inference while cameras wait for each other (default: 1)', number)
    .option('--loop', 'start a file over when it ends')
    .option('--allow-http', 'allow http(s) cameras (MJPEG, HLS)')
    .option('--tls-insecure', 'accept a certificate that cannot be verified')
    .action(async (text: string, flags: RegisteredCameraFlags) => {
      const [id, { url }] = parseCameraFlag(text);
      await (await import('../service/registered-cameras.ts')).addCamera(id, url, flags);
    });
  common(camera.command('remove').description('take a camera away from the services on Kafka'))
    .argument('<name>')
    .action(async (id: string, flags: RegisteredCameraFlags) => {
      await (await import('../service/registered-cameras.ts')).removeCamera(id, flags);
    });
  common(camera.command('list').description('list the cameras that are registered with the services on Kafka'))
    .option('--json', 'print the registrations as JSON')
    .action(async (flags: RegisteredCameraFlags) => {
      await (await import('../service/registered-cameras.ts')).listCameras(flags);
    });
}

function common(command: Command): Command {
  return command
    .option('--brokers <host:port,…>', 'a few Kafka brokers (default: KAFKA_BROKERS)')
    .option('--registry <url>', 'the schema registry (default: SCHEMA_REGISTRY_URL)')
    .option('--prefix <name>', "what the names of topics begin with (default: 'sightline')")
    .option('--state-dir <dir>', 'where the key for credentials is, unless SIGHTLINE_SECRET_KEY(_FILE) says');
}

function number(text: string): number {
  const value = Number(text);
  if (text.trim() === '' || !Number.isFinite(value)) throw new InvalidArgumentError('It must be a number.');
  return value;
}
