import { AppError } from '#shared/core/errors';
import type { AccessRule } from '../../../core/access.ts';
import { changeAll, type ApiPorts, type HttpApp } from '../app.ts';
import { problems } from '../schemas/common.ts';
import * as schema from '../schemas/discovery.ts';

const tags = ['cameras'];
const look: AccessRule = { role: 'viewer', scope: 'none' };
const defaultTimeoutS = 3;
const onvifPort = 80;
const profilesTimeoutMs = 8_000;
/** Each sends on every network of the machine. */
const maxSearches = 2;

/** Helps to find the address of a camera: by asking the network, by asking a device, by its make. */
export function addDiscoveryRoutes(app: HttpApp, { finder }: ApiPorts): void {
  let searches = 0;

  app.post(
    '/cameras::discover',
    {
      config: { access: changeAll, audit: 'camera.discover' },
      schema: {
        tags,
        summary: 'Ask the network for ONVIF cameras',
        description:
          'WS-Discovery by multicast, from the machine that serves the API: it hears of cameras in its own networks, and in a container with a network of its own of none. No camera is connected to.',
        body: schema.DiscoverRequest,
        response: { ...problems(413, 415, 503), 200: schema.DiscoverAnswer },
      },
    },
    async (request) => {
      if (searches >= maxSearches)
        throw new AppError('SIGHTLINE_RATE_LIMITED', 'others search already', { retryable: true });
      searches++;
      try {
        const timeoutMs = (request.body.timeout_s ?? defaultTimeoutS) * 1000;
        return { devices: [...(await finder.discover({ timeoutMs, signal: request.signal }))] };
      } finally {
        searches--;
      }
    },
  );

  app.post(
    '/cameras::profiles',
    {
      config: { access: changeAll, audit: 'camera.profiles' },
      schema: {
        tags,
        summary: 'Ask an ONVIF camera for its streams',
        description:
          'The URL of the profile that is wanted goes to POST /cameras, with the password apart. The device gets a digest of the password, so name only one that you trust.',
        body: schema.ProfilesRequest,
        response: { ...problems(413, 415, 422), 200: schema.DeviceProfiles },
      },
    },
    async (request) => {
      const { port = onvifPort, ...rest } = request.body;
      request.auditTarget = rest.host.slice(0, 64);
      const device = await finder.profiles({ ...rest, port, timeoutMs: profilesTimeoutMs, signal: request.signal });
      return { ...device, profiles: [...device.profiles] };
    },
  );

  app.get(
    '/camera-templates',
    {
      config: { access: look },
      schema: {
        tags,
        summary: 'Where cameras of common makes have their streams',
        response: { ...problems(), 200: schema.TemplateList },
      },
    },
    async () => ({ items: [...finder.templates] }),
  );
}
