import { useRef, useState } from 'preact/hooks';
import { containedIn, fractionAt, pointOnPicture, type Size } from '../core/picture-fit.ts';
import type { Geometry, Line, Point, Zone } from '../core/types.ts';

export type ShapeKind = 'zone' | 'line' | 'mask';

export interface GeometryEditorProps {
  readonly geometry: Geometry;
  readonly picture: Size;
  /** Undefined: shapes are shown, none can be drawn. */
  readonly drawing: ShapeKind | undefined;
  readonly points: readonly Point[];
  readonly onPoints: (change: (before: readonly Point[]) => readonly Point[]) => void;
}

const stepFraction = 0.02;

/**
 * Shapes over the picture. With the pointer, each press sets a point; with the keyboard, arrows move a cross (with Shift in larger steps),
 * Enter sets a point and Backspace takes the last one back.
 */
export function GeometryEditor({ geometry, picture, drawing, points, onPoints }: GeometryEditorProps) {
  const field = useRef<SVGSVGElement>(null);
  const cross = useRef<Point>({ x: 0.5, y: 0.5 });
  const [, drawCross] = useState(cross.current);
  const most = drawing === 'line' ? 2 : 24;
  const add = (point: Point): void => {
    // Two presses may come before the first of them is drawn, so each builds on the newest points.
    onPoints((before) => (before.length < most ? [...before, point] : before));
  };

  function pressed(event: PointerEvent): void {
    const place = field.current?.getBoundingClientRect();
    if (place === undefined || drawing === undefined) return;
    const within = containedIn(picture, place);
    add(fractionAt({ x: event.clientX - place.left, y: event.clientY - place.top }, within));
  }

  function keyed(event: KeyboardEvent): void {
    if (drawing === undefined) return;
    const step = event.shiftKey ? stepFraction * 5 : stepFraction;
    const moves: Readonly<Record<string, readonly [number, number]>> = {
      ArrowLeft: [-step, 0],
      ArrowRight: [step, 0],
      ArrowUp: [0, -step],
      ArrowDown: [0, step],
    };
    const move = moves[event.key];
    if (move !== undefined) {
      cross.current = fractionAt(
        { x: cross.current.x + move[0], y: cross.current.y + move[1] },
        { x: 0, y: 0, width: 1, height: 1 },
      );
      drawCross(cross.current);
    } else if (event.key === 'Enter') add(cross.current);
    else if (event.key === 'Backspace') onPoints((before) => before.slice(0, -1));
    else return;
    event.preventDefault();
  }

  return (
    <svg
      ref={field}
      class={`shapes ${drawing === undefined ? '' : 'shapes-drawing'}`}
      viewBox={`0 0 ${picture.width} ${picture.height}`}
      role={drawing === undefined ? 'img' : 'application'}
      aria-label={
        drawing === undefined
          ? `${geometry.zones.length} zones, ${geometry.lines.length} lines, ${geometry.masks.length} masks`
          : `Drawing a ${drawing}: arrows move the cross, Enter sets a point, ${points.length} set`
      }
      tabindex={drawing === undefined ? -1 : 0}
      onPointerDown={pressed}
      onKeyDown={keyed}
    >
      {geometry.masks.map((mask) => (
        <Area key={`mask-${mask.id}`} zone={mask} picture={picture} kind="mask" />
      ))}
      {geometry.zones.map((zone) => (
        <Area key={`zone-${zone.id}`} zone={zone} picture={picture} kind="zone" />
      ))}
      {geometry.lines.map((line) => (
        <Crossing key={`line-${line.id}`} line={line} picture={picture} />
      ))}
      {drawing === undefined ? null : (
        <>
          <polyline
            class={`shape shape-new shape-${drawing}`}
            points={pointsText(
              drawing === 'line' || points.length < 3 ? points : [...points, ...points.slice(0, 1)],
              picture,
            )}
          />
          {points.map((point, index) => {
            const at = onPicture(point, picture);
            return <circle key={index} class="shape-point" cx={at.x} cy={at.y} r={picture.width / 110} />;
          })}
          <path class="cross" d={crossPath(onPicture(cross.current, picture), picture.width / 50)} />
        </>
      )}
    </svg>
  );
}

function Area(props: { readonly zone: Zone; readonly picture: Size; readonly kind: 'zone' | 'mask' }) {
  const { zone, picture, kind } = props;
  const first = zone.polygon[0];
  const at = first === undefined ? undefined : onPicture(first, picture);
  return (
    <g>
      <polygon class={`shape shape-${kind}`} points={pointsText(zone.polygon, picture)} />
      {at === undefined ? null : (
        <text class="shape-name" x={at.x} y={at.y} font-size={picture.width / 36}>
          {kind === 'mask' ? `mask ${zone.name}` : zone.name}
        </text>
      )}
    </g>
  );
}

function Crossing({ line, picture }: { readonly line: Line; readonly picture: Size }) {
  const from = onPicture(line.from, picture);
  const to = onPicture(line.to, picture);
  return (
    <g>
      <line class="shape shape-line" x1={from.x} y1={from.y} x2={to.x} y2={to.y} />
      <text class="shape-name" x={from.x} y={from.y} font-size={picture.width / 36}>
        {line.name}
      </text>
    </g>
  );
}

function onPicture(point: Point, picture: Size): Point {
  return pointOnPicture(point, { x: 0, y: 0, ...picture });
}

function pointsText(points: readonly Point[], picture: Size): string {
  return points
    .map((point) => onPicture(point, picture))
    .map(({ x, y }) => `${x.toFixed(1)},${y.toFixed(1)}`)
    .join(' ');
}

function crossPath({ x, y }: Point, size: number): string {
  return `M${x - size} ${y}H${x + size}M${x} ${y - size}V${y + size}`;
}
