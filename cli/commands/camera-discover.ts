import type { Command } from 'commander';
import type { DiscoverFlags } from '../camera/discover.ts';
import { number, wholeNumber } from '../option-values.ts';

const help = `
It asks from this machine, by multicast: cameras in other networks do not hear it, and in a container with a network of its own none does.
With a host that one camera is asked for its streams; it gets a digest of the password, so name only one that you trust.

Examples:
  $ sightline camera discover
  $ sightline camera discover 10.0.0.5 --user viewer --password-file front.secret`;

/** Adds `sightline camera discover|templates`. */
export function registerCameraDiscover(camera: Command): void {
  camera
    .command('discover')
    .description('find ONVIF cameras in the network, or the streams of one of them')
    .argument('[host]', 'the camera whose streams are asked for')
    .option('--timeout <s>', 'how long answers are waited for', number, 3)
    .option('--port <n>', 'of its ONVIF service', wholeNumber, 80)
    .option('--user <name>', 'a user of its ONVIF service; the password is asked for at a terminal')
    .option('--password-file <file>', 'read the password from a file; or set SIGHTLINE_CAMERA_PASSWORD')
    .option('--json', 'print JSON')
    .addHelpText('after', help)
    .action(async (host: string | undefined, flags: DiscoverFlags) => {
      await (await import('../camera/discover.ts')).discover(host, flags);
    });

  camera
    .command('templates')
    .description('where cameras of common makes have their streams, for `camera add --make`')
    .option('--json', 'print JSON')
    .action(async (flags: { readonly json?: true }) => {
      await (await import('../camera/discover.ts')).listTemplates(flags);
    });
}
