/* eslint-disable @typescript-eslint/no-non-null-assertion -- hot loops over typed arrays whose bounds are those of the loops; a check costs a third more */
import type { LumaPlane } from '#shared/core/frame';

/** Side of a cell in pixels of the inference picture: sixteen samples quiet the noise, and no detector finds what is smaller than a few cells. */
export const cellSidePx = 4;

/** Brightness of a picture in cells of 4x4 pixels, 0..4080 (sum of 16 samples). Pixels at the right and bottom that fill no cell are left out. */
export interface LumaGrid {
  readonly columns: number;
  readonly rows: number;
  readonly cells: Uint16Array;
}

export function createLumaGrid(widthPx: number, heightPx: number): LumaGrid {
  const columns = Math.max(1, Math.floor(widthPx / cellSidePx));
  const rows = Math.max(1, Math.floor(heightPx / cellSidePx));
  return { columns, rows, cells: new Uint16Array(columns * rows) };
}

/**
 * Fills the grid from the plane of brightness. Made here and not by a second output of ffmpeg: that cost
 * 0.3 ms a frame and a second pipe to keep in step, this costs a tenth of it.
 */
export function fillLumaGrid(grid: LumaGrid, image: LumaPlane): void {
  const { data, widthPx, heightPx } = image;
  const { columns, rows, cells } = grid;
  if (widthPx < cellSidePx || heightPx < cellSidePx) {
    cells.fill((data[0] ?? 0) * 16);
    return;
  }
  let cell = 0;
  for (let row = 0; row < rows; row++) {
    let a = row * cellSidePx * widthPx;
    let b = a + widthPx;
    let c = b + widthPx;
    let d = c + widthPx;
    for (let column = 0; column < columns; column++, a += 4, b += 4, c += 4, d += 4) {
      cells[cell++] =
        data[a]! +
        data[a + 1]! +
        data[a + 2]! +
        data[a + 3]! +
        data[b]! +
        data[b + 1]! +
        data[b + 2]! +
        data[b + 3]! +
        data[c]! +
        data[c + 1]! +
        data[c + 2]! +
        data[c + 3]! +
        data[d]! +
        data[d + 1]! +
        data[d + 2]! +
        data[d + 3]!;
    }
  }
}
