import { request } from './request.ts';
import type { Schemas } from './schemas.ts';

export type Device = Schemas['Device'];
export type Profile = Schemas['Profile'];
export type Template = Schemas['CameraTemplate'];

// What the document says of these answers.

export async function discover(): Promise<readonly Device[]> {
  const { body } = await request('/api/v1/cameras:discover', { method: 'POST', body: {} });
  return (body as Schemas['DiscoverAnswer']).devices;
}

export async function readProfiles(asked: Schemas['ProfilesRequest']): Promise<readonly Profile[]> {
  const { body } = await request('/api/v1/cameras:profiles', { method: 'POST', body: asked });
  return (body as Schemas['DeviceProfiles']).profiles;
}

export async function listTemplates(): Promise<readonly Template[]> {
  return ((await request('/api/v1/camera-templates')).body as Schemas['CameraTemplates']).items;
}
