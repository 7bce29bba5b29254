import { useState } from 'preact/hooks';
import { cameraPath, changeCamera, type CameraChange } from '../api/api.ts';
import { ApiError } from '../api/request.ts';
import { curlLine } from '../core/command-lines.ts';
import type { Camera, Geometry, Point } from '../core/types.ts';
import { may, messageOf } from '../state/session.ts';
import { CommandLine } from '../ui/command-line.tsx';
import type { ShapeKind } from '../ui/geometry-editor.tsx';
import { Problem } from '../ui/notice.tsx';

export interface CameraShapesProps {
  readonly camera: Camera;
  readonly drawing: ShapeKind | undefined;
  readonly points: readonly Point[];
  readonly onDraw: (kind: ShapeKind | undefined) => void;
  readonly onSaved: () => Promise<void>;
}

const kinds: readonly ShapeKind[] = ['zone', 'line', 'mask'];

export function CameraShapes({ camera, drawing, points, onDraw, onSaved }: CameraShapesProps) {
  const [name, setName] = useState('');
  const [problem, setProblem] = useState<ApiError | undefined>();
  const [said, setSaid] = useState('');
  const { zones, lines, masks } = camera.geometry;
  const mayDraw = may('operator') && !camera.isFromFile;
  const all = [
    ...zones.map(({ id, name: own }) => ({ kind: 'zone' as const, id, name: own })),
    ...lines.map(({ id, name: own }) => ({ kind: 'line' as const, id, name: own })),
    ...masks.map(({ id, name: own }) => ({ kind: 'mask' as const, id, name: own })),
  ];

  async function store(change: CameraChange, done: string): Promise<void> {
    setProblem(undefined);
    try {
      await changeCamera(camera.id, change, camera.etag);
      setSaid(done);
      onDraw(undefined);
      setName('');
      await onSaved();
    } catch (error) {
      setProblem(error instanceof ApiError ? error : new ApiError(0, undefined, messageOf(error)));
    }
  }

  const enough = drawing === 'line' ? points.length === 2 : points.length >= 3;
  const added = drawing === undefined || !enough ? undefined : withShape(camera.geometry, drawing, name, points);
  return (
    <section class="card" aria-labelledby="shapes-title">
      <h2 id="shapes-title">Zones, lines and masks</h2>
      {all.length === 0 ? <p class="muted">None yet.</p> : null}
      {masks.length > 0 || drawing === 'mask' ? (
        <p class="muted small" role="note">
          What lies under a mask, and up to 2 % of the picture around it, is painted grey before anything is analysed,
          shown or sent: from the moment the camera connects anew, a second or so after saving. Pictures of its events
          from before are dropped. What others get from the camera itself stays whole.
        </p>
      ) : zones.length + lines.length > 0 || drawing !== undefined ? (
        <p class="muted small">Stored for analytics; nothing works by zones and lines yet.</p>
      ) : null}
      <ul class="shape-list">
        {all.map((shape) => (
          <li key={`${shape.kind}-${shape.id}`}>
            <span class={`shape-key shape-key-${shape.kind}`} aria-hidden="true" />
            {shape.kind} <b>{shape.name}</b>
            {mayDraw ? (
              <button
                type="button"
                class="quiet"
                aria-label={`Delete ${shape.kind} ${shape.name}`}
                onClick={() => void store(withoutShape(camera.geometry, shape.kind, shape.id), 'Deleted.')}
              >
                Delete
              </button>
            ) : null}
          </li>
        ))}
      </ul>
      {!mayDraw ? null : drawing === undefined ? (
        <div class="actions start">
          {kinds.map((kind) => (
            <button type="button" key={kind} onClick={() => onDraw(kind)}>
              Draw a {kind}
            </button>
          ))}
        </div>
      ) : (
        <form
          onSubmit={(event) => {
            event.preventDefault();
            if (added !== undefined) void store(added, 'Saved.'); // tells its failures itself
          }}
        >
          <p class="small">
            {drawing === 'line' ? 'Press two points on the picture.' : 'Press three or more points on the picture.'}{' '}
            With the keyboard: go to the picture, arrows, Enter. {points.length} set.
          </p>
          <label class="field">
            Name of the {drawing}
            <input required value={name} maxLength={60} onInput={(event) => setName(event.currentTarget.value)} />
          </label>
          <div class="actions start">
            <button type="submit" class="primary" disabled={added === undefined}>
              Save the {drawing}
            </button>
            <button type="button" class="quiet" onClick={() => onDraw(undefined)}>
              Cancel
            </button>
          </div>
          <CommandLine line={curlLine(location.origin, 'PATCH', cameraPath(camera.id), added ?? {}, camera.etag)} />
        </form>
      )}
      <Problem problem={problem} />
      <span role="status" class="small">
        {said}
      </span>
    </section>
  );
}

/** All shapes with the new one: a PATCH replaces them as a whole. */
function withShape(
  geometry: Geometry,
  kind: ShapeKind,
  name: string,
  points: readonly Point[],
): CameraChange | undefined {
  const id = freeId(geometry, name);
  const [from, to] = points;
  switch (kind) {
    case 'zone':
      return { geometry: { ...geometry, zones: [...geometry.zones, { id, name, polygon: points }] } };
    case 'mask':
      return { geometry: { ...geometry, masks: [...geometry.masks, { id, name, polygon: points }] } };
    case 'line':
      if (from === undefined || to === undefined) return undefined;
      return { geometry: { ...geometry, lines: [...geometry.lines, { id, name, from, to }] } };
  }
}

function withoutShape(geometry: Geometry, kind: ShapeKind, id: string): CameraChange {
  switch (kind) {
    case 'zone':
      return { geometry: { ...geometry, zones: geometry.zones.filter((one) => one.id !== id) } };
    case 'mask':
      return { geometry: { ...geometry, masks: geometry.masks.filter((one) => one.id !== id) } };
    case 'line':
      return { geometry: { ...geometry, lines: geometry.lines.filter((one) => one.id !== id) } };
  }
}

function freeId(geometry: Geometry, name: string): string {
  const wanted =
    name
      .toLowerCase()
      .replace(/[^a-z0-9_-]+/g, '-')
      .replace(/^-+|-+$/g, '') || 'area';
  const taken = new Set([...geometry.zones, ...geometry.lines, ...geometry.masks].map((one) => one.id));
  let id = wanted;
  for (let number = 2; taken.has(id); number += 1) id = `${wanted}-${number}`;
  return id;
}
