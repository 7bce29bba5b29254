import type { BoundingBoxRecord } from '#schemas';

/** Cells are gathered in blocks of this many by this many, so that the parts of one thing join and single cells do not. */
const blockSideCells = 4;

export interface ChangedRegionOptions {
  /** Changed cells that a region needs: fewer are noise, rain, or the digits of a clock drawn into the picture. */
  readonly minimumCells: number;
}

/** Bounding boxes (fractions of the picture) of the groups of neighbouring blocks that hold changed cells. */
export function findChangedRegions(
  changed: Uint8Array,
  columns: number,
  rows: number,
  options: ChangedRegionOptions,
): BoundingBoxRecord[] {
  const blockColumns = Math.ceil(columns / blockSideCells);
  const blockRows = Math.ceil(rows / blockSideCells);
  const counts = new Uint8Array(blockColumns * blockRows);
  for (let row = 0, cell = 0; row < rows; row++) {
    const blockStart = (row >> 2) * blockColumns;
    for (let column = 0; column < columns; column++, cell++) {
      if (changed[cell] !== 0) {
        const block = blockStart + (column >> 2);
        counts[block] = (counts[block] ?? 0) + 1;
      }
    }
  }

  const regions: BoundingBoxRecord[] = [];
  const stack: number[] = [];
  for (let start = 0; start < counts.length; start++) {
    if (counts[start] === 0) continue;
    let cells = 0;
    let left = blockColumns;
    let right = 0;
    let top = blockRows;
    let bottom = 0;
    cells += takeBlock(counts, start, stack);
    for (let block = stack.pop(); block !== undefined; block = stack.pop()) {
      const x = block % blockColumns;
      const y = (block - x) / blockColumns;
      left = Math.min(left, x);
      right = Math.max(right, x);
      top = Math.min(top, y);
      bottom = Math.max(bottom, y);
      for (let nearY = Math.max(0, y - 1); nearY <= Math.min(blockRows - 1, y + 1); nearY++) {
        for (let nearX = Math.max(0, x - 1); nearX <= Math.min(blockColumns - 1, x + 1); nearX++) {
          const near = nearY * blockColumns + nearX;
          if (counts[near] !== 0) cells += takeBlock(counts, near, stack);
        }
      }
    }
    if (cells < options.minimumCells) continue;
    const x = (left * blockSideCells) / columns;
    const y = (top * blockSideCells) / rows;
    regions.push({
      x,
      y,
      width: Math.min(1, ((right + 1) * blockSideCells) / columns) - x,
      height: Math.min(1, ((bottom + 1) * blockSideCells) / rows) - y,
    });
  }
  return regions;
}

/** Marks a block as seen by taking its count, so that no second list is needed. */
function takeBlock(counts: Uint8Array, block: number, stack: number[]): number {
  const cells = counts[block] ?? 0;
  counts[block] = 0;
  stack.push(block);
  return cells;
}
