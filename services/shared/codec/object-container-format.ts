import { createAvroType } from './avro-type.ts';

/** Avro object container files: a header, then blocks, each closed by the sync marker that the header names. */
export const magic = Buffer.from('Obj\u0001', 'latin1');
export const syncMarkerBytes = 16;
/** The longest form of an Avro long. */
export const maxLongBytes = 10;
export type ContainerCompression = 'null' | 'deflate';

export const longType = createAvroType<number>('long');
export const metadataType = createAvroType<Readonly<Record<string, Buffer>>>({ type: 'map', values: 'bytes' });
