import { systemClock } from '#shared/runtime/system-clock';
import { discoverDevices } from '../../services/ingest/adapters/onvif/discover-devices.ts';
import { readProfiles } from '../../services/ingest/adapters/onvif/read-profiles.ts';
import { streamTemplates } from '../../services/ingest/core/stream-templates.ts';
import { print } from '../results/output.ts';
import { textTable } from '../results/text-table.ts';
import { passwordFor } from './ask-password.ts';

export interface DiscoverFlags {
  readonly timeout: number;
  readonly port: number;
  readonly user?: string;
  readonly passwordFile?: string;
  readonly json?: true;
}

const msPerS = 1000;
/** Starting the process that asks takes a second of it on a small machine. */
const profilesTimeoutMs = 10_000;

/** Without a host: the cameras that answer a search. With one: the streams of that camera. */
export async function discover(host: string | undefined, flags: DiscoverFlags): Promise<void> {
  if (host === undefined) await search(flags);
  else await showProfiles(host, flags);
}

async function search({ timeout, json }: DiscoverFlags): Promise<void> {
  const devices = await discoverDevices({ timeoutMs: timeout * msPerS });
  if (json === true) {
    await print(`${JSON.stringify({ devices }, null, 2)}\n`);
    return;
  }
  const table = textTable(
    [
      { title: 'address', align: 'left', text: ({ address }) => address },
      { title: 'port', text: ({ port }) => String(port) },
      { title: 'name', align: 'left', text: ({ name }) => name ?? '-' },
      { title: 'hardware', align: 'left', text: ({ hardware }) => hardware ?? '-' },
      { title: 'location', align: 'left', text: ({ location }) => location ?? '-' },
    ],
    devices,
  );
  await print(table);
  const [first] = devices;
  process.stderr.write(
    first === undefined
      ? 'no camera answered: ONVIF may be switched off at them, or they are in another network; `sightline camera templates` has the addresses of common makes\n'
      : `its streams: sightline camera discover ${first.address} --port ${first.port} --user NAME\n`,
  );
}

async function showProfiles(host: string, { port, user, passwordFile, json }: DiscoverFlags): Promise<void> {
  const device = await readProfiles({
    ...{ host, port, policy: {}, clock: systemClock, timeoutMs: profilesTimeoutMs },
    ...(user === undefined ? {} : { user, password: await passwordFor(host, passwordFile) }),
  });
  if (json === true) {
    await print(`${JSON.stringify(device, null, 2)}\n`);
    return;
  }
  await print(`${[device.manufacturer, device.model, device.firmware].map((one) => one ?? '-').join(' ')}\n`);
  const size = (width: number | null, height: number | null): string =>
    width === null ? '-' : `${width}x${height ?? '?'}`;
  await print(
    textTable(
      [
        { title: 'profile', align: 'left', text: ({ name }) => name },
        { title: 'codec', align: 'left', text: ({ codec }) => codec ?? '-' },
        { title: 'size', text: ({ width_px: width, height_px: height }) => size(width, height) },
        { title: 'fps', text: ({ fps }) => String(fps ?? '-') },
        { title: 'url', align: 'left', text: ({ url }) => url },
      ],
      device.profiles,
    ),
  );
  const [first] = device.profiles;
  if (first === undefined) return;
  const withUser = first.url.replace('://', `://${user === undefined ? '' : `${encodeURIComponent(user)}@`}`);
  process.stderr.write(`take one: sightline camera add NAME='${withUser}' --password-file FILE\n`);
}

/** `sightline camera templates`. */
export async function listTemplates({ json }: { readonly json?: true }): Promise<void> {
  if (json === true) {
    await print(`${JSON.stringify({ items: streamTemplates }, null, 2)}\n`);
    return;
  }
  await print(
    textTable(
      [
        { title: 'make', align: 'left', text: ({ make }) => make },
        { title: 'main', align: 'left', text: ({ main }) => main },
        { title: 'sub', align: 'left', text: ({ sub }) => sub ?? '-' },
        { title: 'note', align: 'left', text: ({ note }) => note },
      ],
      streamTemplates,
    ),
  );
}
