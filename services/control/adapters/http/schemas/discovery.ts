import { Type } from 'typebox';
import { nullable, strict } from './common.ts';

const text = nullable(Type.String());
const number = nullable(Type.Number());
const Host = Type.String({ minLength: 1, maxLength: 253, pattern: '^[^\\s/@?#]+$', description: 'Name or address.' });
const Port = Type.Integer({ minimum: 1, maximum: 65_535 });
const ServicePath = Type.String({ pattern: '^/[\\x21-\\x7e]{0,200}$', description: 'Default /onvif/device_service.' });

export const DiscoverRequest = strict(
  {
    timeout_s: Type.Optional(
      Type.Number({ minimum: 1, maximum: 10, description: 'How long answers are waited for. Default 3.' }),
    ),
  },
  { title: 'DiscoverRequest' },
);
export const Device = strict(
  {
    ...{ address: Type.String(), port: Type.Integer(), path: Type.String({ description: 'Of its ONVIF service.' }) },
    ...{ urn: Type.String(), name: text, hardware: text, location: text },
  },
  { title: 'Device', description: 'As it says of itself; it was not connected to.' },
);
export const DiscoverAnswer = strict({ devices: Type.Array(Device) }, { title: 'DiscoverAnswer' });

export const ProfilesRequest = strict(
  {
    host: Host,
    port: Type.Optional(Port),
    path: Type.Optional(ServicePath),
    user: Type.Optional(Type.String({ minLength: 1, maxLength: 256 })),
    password: Type.Optional(
      Type.String({ minLength: 1, maxLength: 256, writeOnly: true, description: 'Sent as a digest, kept nowhere.' }),
    ),
  },
  { title: 'ProfilesRequest' },
);
export const Profile = strict(
  {
    ...{ token: Type.String(), name: Type.String(), codec: text, width_px: number, height_px: number, fps: number },
    url: Type.String({ description: 'Without credentials.' }),
  },
  { title: 'Profile' },
);
export const DeviceProfiles = strict(
  { manufacturer: text, model: text, firmware: text, profiles: Type.Array(Profile) },
  { title: 'DeviceProfiles' },
);

export const Template = strict(
  {
    make: Type.String(),
    name: Type.String(),
    main: Type.String({
      description: 'Path and query of the full picture; {channel} from 1, {channel2} the same with two digits.',
    }),
    sub: nullable(Type.String({ description: 'Of the smaller picture; null where it has no fixed address.' })),
    source: Type.String({ description: 'Where that is written.' }),
    note: Type.String(),
  },
  { title: 'CameraTemplate' },
);
export const TemplateList = strict({ items: Type.Array(Template) }, { title: 'CameraTemplates' });
