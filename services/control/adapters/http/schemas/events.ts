import { Type } from 'typebox';
import { kindNames } from '../../../core/events/event-kinds.ts';
import { CameraId, NextCursor, nullable, strict } from './common.ts';

const moment = '^\\d{4}-\\d{2}-\\d{2}T\\d{2}:\\d{2}(:\\d{2}(\\.\\d{1,9})?)?(Z|[+-]\\d{2}:\\d{2})$';

export const EventQuery = {
  camera: Type.Optional(CameraId),
  kind: Type.Optional(
    Type.String({
      minLength: 1,
      maxLength: 500,
      description:
        'Kinds, or the part before the dot for all of a group, with commas between: `camera,model.gate_failed`.',
    }),
  ),
  since: Type.Optional(
    Type.String({ pattern: moment, description: 'Not before this moment, for example 2026-11-23T06:00:00Z.' }),
  ),
  until: Type.Optional(Type.String({ pattern: moment, description: 'Before this moment.' })),
};

export const Event = strict(
  {
    id: Type.String({ description: 'UUID. An event that is told twice has the same one.' }),
    seq: Type.Integer({ description: 'In the order in which this server learned of them.' }),
    time: Type.Integer({ description: 'When it happened; microseconds since 1970-01-01 UTC.' }),
    kind: Type.String({
      description: `Today one of: ${kindNames.join(', ')}. Others may come: pass over what you do not know.`,
    }),
    severity: Type.Enum(['INFO', 'NOTICE', 'ALERT'], {
      description: 'INFO: as it should be. NOTICE: worth a look. ALERT: somebody has to do something.',
    }),
    camera_id: nullable(Type.String()),
    summary: Type.String({ description: 'In words.' }),
    reason_code: nullable(Type.String({ description: 'As in CameraStatus.' })),
    details: Type.Record(Type.String(), Type.Unknown(), { description: 'By kind; texts, numbers and lists of texts.' }),
    has_still: Type.Boolean({ description: 'Whether there is a picture at /cameras/ID/events/EVENT/still.jpg.' }),
  },
  { title: 'Event', description: 'Something that happened to a camera, to its registration, or to the models.' },
);

export const EventPage = strict({ items: Type.Array(Event), next_cursor: NextCursor }, { title: 'EventPage' });

export const StillParams = strict({ id: CameraId, event: Type.String({ pattern: '^[0-9a-f-]{36}$' }) });
