/**
 * In which shape a model is run on a picture that does not have the shape of its input, where the aspect is kept:
 *
 * - `fixed`: in its own, the rest of it filled, as the reference code of most models does;
 * - `trim`: the filling cut off to the next whole cell, so the same objects at the same scale for less work (16:9 in a square: 38 %);
 * - `fit`: with about as many pixels as its own, shaped like the picture, which is seen larger: more small objects for the same work.
 *
 * Both are what Ultralytics calls rectangular inference; they need a network that is convolutions from end to end.
 */
export const inputShapes = ['fixed', 'trim', 'fit'] as const;
export type InputShape = (typeof inputShapes)[number];

/** How a picture comes to the input of a model: whole with its aspect kept and the rest filled, or pulled to the input's size. */
export type ResizeRule =
  | {
      readonly mode: 'letterbox';
      readonly anchor: 'top_left' | 'centre';
      readonly padValue: number;
      readonly shape: InputShape;
    }
  | { readonly mode: 'stretch' };

export interface SizePx {
  readonly widthPx: number;
  readonly heightPx: number;
}

/** Both sides of a shape are multiples of this: the largest cell of the detectors that we know. */
export const shapeMultiplePx = 32;

/** A picture longer than this is run as if it were so long: shapes of a few rows see nothing. */
const longestAspect = 2.6;

interface ShapedInput extends SizePx {
  readonly resize: ResizeRule;
}

export function shapeOf({ resize }: ShapedInput): InputShape {
  return resize.mode === 'letterbox' ? resize.shape : 'fixed';
}

/** The size that a picture has to go into, its aspect kept: the input's own, or for `fit` the one that shows this picture largest. */
export function boundingSize(sourceWidthPx: number, sourceHeightPx: number, input: ShapedInput): SizePx {
  if (shapeOf(input) !== 'fit') return { widthPx: input.widthPx, heightPx: input.heightPx };
  const [first, ...others] = fittingSizes(input);
  let best: SizePx = first;
  for (const next of others) {
    if (isBetterIn(next, best, sourceWidthPx, sourceHeightPx)) best = next;
  }
  return best;
}

/** Of two sizes, the second of them narrower and higher: in a picture this wide the one is filled by its height before the other by its width. */
function isBetterIn(wider: SizePx, narrower: SizePx, sourceWidthPx: number, sourceHeightPx: number): boolean {
  return sourceWidthPx * wider.heightPx > sourceHeightPx * narrower.widthPx;
}

/** The sizes that `fit` chooses from, narrowest first: as many pixels as the input has at most, none inside another. */
export function fittingSizes(input: SizePx): readonly [SizePx, ...SizePx[]] {
  const pixels = input.widthPx * input.heightPx;
  const sizes: SizePx[] = [];
  for (let heightPx = shapeMultiplePx; heightPx * shapeMultiplePx <= pixels; heightPx += shapeMultiplePx) {
    const widthPx = wholeCells(Math.floor(pixels / heightPx), Math.floor);
    const aspect = widthPx / heightPx;
    if (aspect > longestAspect || 1 / aspect > longestAspect) continue;
    // A higher one of the same width takes its place.
    if (sizes.at(-1)?.widthPx === widthPx) sizes.pop();
    sizes.push({ widthPx, heightPx });
  }
  const [first = { widthPx: input.widthPx, heightPx: input.heightPx }, ...others] = sizes.reverse();
  return [first, ...others];
}

/** The size of the input that a picture, scaled to its `inferenceSize`, is run in. */
export function inputSizeFor(image: SizePx, input: ShapedInput): SizePx {
  if (shapeOf(input) === 'fixed') return { widthPx: input.widthPx, heightPx: input.heightPx };
  return { widthPx: wholeCells(image.widthPx, Math.ceil), heightPx: wholeCells(image.heightPx, Math.ceil) };
}

function wholeCells(px: number, round: (value: number) => number): number {
  return Math.max(1, round(px / shapeMultiplePx)) * shapeMultiplePx;
}
