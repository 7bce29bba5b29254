export interface GridInput {
  readonly count: number;
  readonly widthPx: number;
  readonly minTilePx: number;
  readonly gapPx: number;
  /** Height of what stands under the picture of a tile. */
  readonly captionPx: number;
  /** How far the grid's top edge is above the top of the window; negative while it is still below it. */
  readonly scrolledPx: number;
  readonly viewportPx: number;
}

export interface GridWindow {
  readonly columns: number;
  readonly rowPx: number;
  readonly totalPx: number;
  readonly first: number;
  /** One past the last. */
  readonly end: number;
}

/** Which tiles are to be in the document: those in view and one screen beside it, so that 300 cameras cost what 40 do. */
export function gridWindow(input: GridInput): GridWindow {
  const { count, widthPx, minTilePx, gapPx, captionPx, scrolledPx, viewportPx } = input;
  const columns = Math.max(1, Math.floor((widthPx + gapPx) / (minTilePx + gapPx)));
  const tilePx = (widthPx - gapPx * (columns - 1)) / columns;
  const rowPx = Math.max(1, Math.round((tilePx * 9) / 16) + captionPx + gapPx);
  const rows = Math.ceil(count / columns);
  const firstRow = Math.max(0, Math.floor((scrolledPx - viewportPx) / rowPx));
  const endRow = Math.min(rows, Math.ceil((scrolledPx + 2 * viewportPx) / rowPx));
  return {
    columns,
    rowPx,
    totalPx: Math.max(0, rows * rowPx - gapPx),
    first: firstRow * columns,
    end: Math.max(firstRow * columns, Math.min(count, endRow * columns)),
  };
}
