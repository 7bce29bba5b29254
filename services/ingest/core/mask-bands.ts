import type { BoundingBoxRecord, PointRecord } from '#schemas';

type Polygon = readonly PointRecord[];
type Interval = readonly [from: number, to: number];

/** Rectangles of all masks of a camera together: each costs ffmpeg a step per picture. */
export const maxMaskBands = 256;
const mostBandsOfOne = 32;
/** Of the height of the picture: below this an edge has no slope that could be worked with. */
const flat = 1e-9;

/**
 * Rectangles that cover the polygons, in the same fractions of the picture. Never less than the polygons; more where a slanted edge crosses a
 * rectangle, the more so the more masks there are, for the number is bounded. What a polygon crosses itself over counts as inside.
 */
export function maskBands(polygons: readonly Polygon[]): BoundingBoxRecord[] {
  for (let bands = mostBandsOfOne; bands > 1; bands /= 2) {
    const found = polygons.flatMap((polygon) => bandsOf(polygon, bands));
    if (found.length <= maxMaskBands) return found;
  }
  return polygons.flatMap(boundsOf);
}

function bandsOf(polygon: Polygon, count: number): BoundingBoxRecord[] {
  const [bounds] = boundsOf(polygon);
  if (bounds === undefined) return [];
  const all: BoundingBoxRecord[] = [];
  let open: { readonly intervals: readonly Interval[]; readonly y: number; bottom: number } | undefined;
  const close = (): void => {
    if (open === undefined) return;
    const { intervals, y, bottom } = open;
    all.push(...intervals.map(([x, to]) => ({ x, y, width: to - x, height: bottom - y })));
  };
  for (let index = 0; index < count; index++) {
    const top = bounds.y + (bounds.height * index) / count;
    const bottom = bounds.y + (bounds.height * (index + 1)) / count;
    const intervals = coveredIntervals(polygon, top, bottom);
    if (open !== undefined && isSame(open.intervals, intervals)) {
      open.bottom = bottom;
      continue;
    }
    close();
    open = { intervals, y: top, bottom };
  }
  close();
  return all;
}

/** Where the polygon is, from left to right, anywhere between two heights. */
function coveredIntervals(polygon: Polygon, top: number, bottom: number): Interval[] {
  const edges = edgesOf(polygon);
  // Between two neighbouring heights of these no edge begins, ends or crosses another.
  const heights = [top, bottom, ...polygon.map(({ y }) => y), ...crossings(edges)]
    .filter((y) => y >= top && y <= bottom)
    .toSorted((one, other) => one - other);
  const intervals: Interval[] = [];
  // The edges themselves: one that lies flat encloses nothing and is part of what is to be hidden.
  for (const edge of edges) {
    const [highest, lowest] = [Math.min(edge.from.y, edge.to.y), Math.max(edge.from.y, edge.to.y)];
    if (highest > bottom || lowest < top) continue;
    const ends = [xAt(edge, Math.max(highest, top)), xAt(edge, Math.min(lowest, bottom))];
    const xs = lowest - highest < flat ? [edge.from.x, edge.to.x] : ends;
    intervals.push([Math.min(...xs), Math.max(...xs)]);
  }
  for (const [index, upper] of heights.entries()) {
    const lower = heights[index + 1];
    if (lower === undefined || lower <= upper) continue;
    const middle = (upper + lower) / 2;
    const crossed = edges
      .filter(({ from, to }) => Math.min(from.y, to.y) < middle && Math.max(from.y, to.y) > middle)
      .map((edge) => ({ edge, x: xAt(edge, middle), turn: edge.to.y > edge.from.y ? 1 : -1 }))
      .toSorted((one, other) => one.x - other.x);
    let winding = 0;
    for (const [at, { edge, turn }] of crossed.entries()) {
      winding += turn;
      const next = crossed[at + 1];
      if (winding === 0 || next === undefined) continue;
      const left = Math.min(xAt(edge, upper), xAt(edge, lower));
      intervals.push([left, Math.max(xAt(next.edge, upper), xAt(next.edge, lower))]);
    }
  }
  return merged(intervals);
}

interface Edge {
  readonly from: PointRecord;
  readonly to: PointRecord;
}

function edgesOf(polygon: Polygon): Edge[] {
  return polygon.map((from, index) => ({ from, to: polygon[(index + 1) % polygon.length] ?? from }));
}

function xAt({ from, to }: Edge, y: number): number {
  const along = Math.min(1, Math.max(0, (y - from.y) / (to.y - from.y)));
  return from.x + (to.x - from.x) * along;
}

/** Heights at which two edges cross. */
function crossings(edges: readonly Edge[]): number[] {
  return edges.flatMap((one, index) =>
    edges.slice(index + 1).flatMap((other) => {
      const [ax, ay] = [one.to.x - one.from.x, one.to.y - one.from.y];
      const [bx, by] = [other.to.x - other.from.x, other.to.y - other.from.y];
      const slant = ax * by - ay * bx;
      if (slant === 0) return [];
      const [dx, dy] = [other.from.x - one.from.x, other.from.y - one.from.y];
      const along = (dx * by - dy * bx) / slant;
      const alongOther = (dx * ay - dy * ax) / slant;
      return along >= 0 && along <= 1 && alongOther >= 0 && alongOther <= 1 ? [one.from.y + along * ay] : [];
    }),
  );
}

function merged(intervals: readonly Interval[]): Interval[] {
  const all: Interval[] = [];
  for (const [from, to] of intervals.toSorted(([one], [other]) => one - other)) {
    const last = all.at(-1);
    if (last !== undefined && from <= last[1]) all[all.length - 1] = [last[0], Math.max(last[1], to)];
    else all.push([from, to]);
  }
  return all;
}

function isSame(one: readonly Interval[], other: readonly Interval[]): boolean {
  return (
    one.length === other.length &&
    one.every(([from, to], index) => {
      const [otherFrom, otherTo] = other[index] ?? [];
      return from === otherFrom && to === otherTo;
    })
  );
}

function boundsOf(polygon: Polygon): BoundingBoxRecord[] {
  if (polygon.length === 0) return [];
  const [xs, ys] = [polygon.map(({ x }) => x), polygon.map(({ y }) => y)];
  const [x, y] = [Math.min(...xs), Math.min(...ys)];
  return [{ x, y, width: Math.max(...xs) - x, height: Math.max(...ys) - y }];
}
