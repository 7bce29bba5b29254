import { readFileSync } from 'node:fs';

export type * from './types.ts';
export { evolutionProblems } from './evolution.ts';

/** A schema as parsed from its .avsc file. */
export interface AvroRecordSchema {
  readonly type: 'record';
  readonly name: string;
  readonly namespace: string;
  readonly doc?: string;
  readonly fields: readonly unknown[];
}

/** The records that a run leaves behind, in files or on topics. */
export type ResultName = 'detection-frame' | 'camera-status';
export type SchemaName =
  ResultName | 'frame' | 'camera-claim' | 'ingest-presence' | 'camera-registration' | 'model-info' | 'drift-state';

export interface SchemaEntry {
  readonly name: SchemaName;
  /** Name of the record with its namespace, as it stands in files and in a registry. */
  readonly fullName: string;
  readonly version: number;
  readonly schema: AvroRecordSchema;
}

// An .avsc file is not a module that Node imports, so it is read; once, when the first module asks for schemas.
function loadSchema(name: SchemaName, version: number, file: string): SchemaEntry {
  // The files are ours and a test holds them to this shape.
  const schema = JSON.parse(readFileSync(new URL(file, import.meta.url), 'utf8')) as AvroRecordSchema;
  return { name, fullName: `${schema.namespace}.${schema.name}`, version, schema };
}

/** The current version of every record that we write. */
export const schemas: Readonly<Record<SchemaName, SchemaEntry>> = {
  'detection-frame': loadSchema('detection-frame', 2, './detection-frame.avsc'),
  'camera-status': loadSchema('camera-status', 1, './camera-status.avsc'),
  frame: loadSchema('frame', 1, './frame.avsc'),
  'camera-claim': loadSchema('camera-claim', 1, './camera-claim.avsc'),
  'ingest-presence': loadSchema('ingest-presence', 1, './ingest-presence.avsc'),
  'camera-registration': loadSchema('camera-registration', 1, './camera-registration.avsc'),
  'model-info': loadSchema('model-info', 1, './model-info.avsc'),
  'drift-state': loadSchema('drift-state', 1, './drift-state.avsc'),
};

/** A version as it was released; the files of the ledger never change. */
export function releasedSchema(name: SchemaName, version: number): SchemaEntry {
  return loadSchema(name, version, `./released/${name}/v${version}.avsc`);
}
