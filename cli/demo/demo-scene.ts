import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { AppError } from '#shared/core/errors';

/** The scene that the demo shows where no real clip can be had: two people walk along a street while cars pass, drawn by this file. */
export const demoScene = { widthPx: 640, heightPx: 360, fps: 10, frames: 240 } as const;

const carLengthPx = 190;

type Colour = readonly [red: number, green: number, blue: number];

/** Writes the scene to `path` as a video. Throws SIGHTLINE_DEMO_UNAVAILABLE where ffmpeg cannot encode it. */
export async function renderDemoScene(ffmpegPath: string, path: string): Promise<void> {
  const { widthPx, heightPx, fps } = demoScene;
  const input = [
    '-f',
    'rawvideo',
    '-pix_fmt',
    'rgb24',
    '-s',
    `${widthPx}x${heightPx}`,
    '-r',
    String(fps),
    '-i',
    'pipe:0',
  ];
  // MPEG-4 part 2 is built into every ffmpeg; an H.264 encoder is not.
  const output = ['-c:v', 'mpeg4', '-q:v', '3', '-pix_fmt', 'yuv420p', '-f', 'mp4', '-y', path];
  const child = spawn(ffmpegPath, ['-hide_banner', '-loglevel', 'error', ...input, ...output], {
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  const ended = once(child, 'close');
  // The outcome is told by the exit code below; a broken pipe before it must not end our process.
  child.stdin.on('error', () => undefined);
  for (let index = 0; index < demoScene.frames; index += 1) {
    if (!child.stdin.write(drawDemoFrame(index))) await Promise.race([once(child.stdin, 'drain'), ended]);
  }
  child.stdin.end();
  const [exitCode] = (await ended) as [number | null];
  if (exitCode !== 0) throw new AppError('SIGHTLINE_DEMO_UNAVAILABLE', 'ffmpeg could not encode the demo scene');
}

/** One frame of the scene: `widthPx * heightPx` pixels of three bytes, red, green, blue. */
export function drawDemoFrame(index: number): Uint8Array {
  const canvas = new Canvas(demoScene.widthPx, demoScene.heightPx);
  drawStreet(canvas);
  const progress = index / demoScene.frames;
  drawCar(canvas, -220 + progress * 1080, 246, 1, [168, 34, 32]);
  drawCar(canvas, 700 - ((progress * 1.6) % 1) * 960, 280, -1, [44, 84, 150]);
  drawWalker(canvas, 60 + progress * 430, 322, 150, index * 0.55, [52, 84, 140]);
  drawWalker(canvas, 560 - progress * 380, 338, 168, index * 0.5 + 1.5, [126, 58, 48]);
  return canvas.pixels;
}

class Canvas {
  readonly pixels: Uint8Array;
  readonly #width: number;
  readonly #height: number;

  constructor(width: number, height: number) {
    this.#width = width;
    this.#height = height;
    this.pixels = new Uint8Array(width * height * 3);
  }

  /** Fills where `inside(x, y)` holds within the given box. */
  fill(
    left: number,
    top: number,
    right: number,
    bottom: number,
    colour: Colour,
    inside?: (x: number, y: number) => boolean,
  ): void {
    const [firstX, lastX] = [Math.max(0, Math.floor(left)), Math.min(this.#width - 1, Math.ceil(right))];
    const [firstY, lastY] = [Math.max(0, Math.floor(top)), Math.min(this.#height - 1, Math.ceil(bottom))];
    for (let y = firstY; y <= lastY; y += 1) {
      for (let x = firstX; x <= lastX; x += 1) {
        if (inside === undefined || inside(x, y)) this.pixels.set(colour, (y * this.#width + x) * 3);
      }
    }
  }

  ellipse(x: number, y: number, radiusX: number, radiusY: number, colour: Colour): void {
    this.fill(x - radiusX, y - radiusY, x + radiusX, y + radiusY, colour, (px, py) => {
      return ((px - x) / radiusX) ** 2 + ((py - y) / radiusY) ** 2 <= 1;
    });
  }

  /** A shape with level top and bottom: corners bottom left, top left, top right, bottom right, in any order of left and right. */
  quad(
    bottomOne: number,
    topOne: number,
    topTwo: number,
    bottomTwo: number,
    bottomY: number,
    topY: number,
    colour: Colour,
  ): void {
    const box = [
      Math.min(bottomOne, topOne, topTwo, bottomTwo),
      Math.max(bottomOne, topOne, topTwo, bottomTwo),
    ] as const;
    this.fill(box[0], topY, box[1], bottomY, colour, (x, y) => {
      const rise = (bottomY - y) / (bottomY - topY);
      const [one, two] = [bottomOne + (topOne - bottomOne) * rise, bottomTwo + (topTwo - bottomTwo) * rise];
      return x >= Math.min(one, two) && x <= Math.max(one, two);
    });
  }

  /** A thick line with round ends. */
  limb(fromX: number, fromY: number, toX: number, toY: number, radius: number, colour: Colour): void {
    const [alongX, alongY] = [toX - fromX, toY - fromY];
    const lengthSquared = alongX ** 2 + alongY ** 2;
    const box = [
      Math.min(fromX, toX) - radius,
      Math.min(fromY, toY) - radius,
      Math.max(fromX, toX) + radius,
      Math.max(fromY, toY) + radius,
    ] as const;
    this.fill(...box, colour, (x, y) => {
      const share = Math.min(1, Math.max(0, ((x - fromX) * alongX + (y - fromY) * alongY) / lengthSquared));
      return (x - fromX - share * alongX) ** 2 + (y - fromY - share * alongY) ** 2 <= radius ** 2;
    });
  }
}

function drawStreet(canvas: Canvas): void {
  const { widthPx, heightPx } = demoScene;
  for (let y = 0; y < 120; y += 1) canvas.fill(0, y, widthPx, y, [150 + y / 3, 180 + y / 4, 215]);
  canvas.fill(0, 60, 250, 210, [136, 122, 110]);
  canvas.fill(250, 90, 470, 210, [166, 150, 132]);
  canvas.fill(470, 40, widthPx, 210, [118, 112, 112]);
  for (let x = 20; x < widthPx; x += 58) {
    for (let y = 105; y < 190; y += 42) canvas.fill(x, y, x + 26, y + 26, [70, 84, 98]);
  }
  canvas.fill(0, 210, widthPx, 290, [82, 84, 88]);
  for (let x = 10; x < widthPx; x += 80) canvas.fill(x, 248, x + 38, 251, [206, 204, 196]);
  canvas.fill(0, 290, widthPx, heightPx, [152, 148, 142]);
  canvas.fill(0, 288, widthPx, 292, [108, 106, 104]);
}

/** A car seen from the side, `direction` 1 driving to the right; `x` is its left end, the wheels stand on `groundY`. */
function drawCar(canvas: Canvas, x: number, groundY: number, direction: 1 | -1, body: Colour): void {
  const at = (along: number): number => (direction === 1 ? x + along : x + carLengthPx - along);
  const dark: Colour = [22, 22, 24];
  const glass: Colour = [58, 72, 84];
  const shade: Colour = [body[0] * 0.72, body[1] * 0.72, body[2] * 0.72];
  canvas.ellipse(x + carLengthPx / 2, groundY + 2, 100, 6, [58, 60, 62]);
  canvas.quad(at(40), at(64), at(124), at(152), groundY - 40, groundY - 68, body);
  canvas.quad(at(50), at(69), at(92), at(92), groundY - 42, groundY - 63, glass);
  canvas.quad(at(98), at(98), at(120), at(141), groundY - 42, groundY - 63, glass);
  canvas.limb(at(16), groundY - 30, at(178), groundY - 28, 13, body);
  canvas.fill(x + 6, groundY - 24, x + 184, groundY - 13, shade);
  canvas.limb(at(6), groundY - 17, at(184), groundY - 17, 3, dark);
  canvas.ellipse(at(184), groundY - 30, 5, 4, [250, 240, 196]);
  canvas.ellipse(at(6), groundY - 31, 4, 5, [216, 40, 30]);
  canvas.fill(at(95), groundY - 40, at(95) + 1, groundY - 14, shade);
  for (const wheel of [at(42), at(150)]) {
    canvas.ellipse(wheel, groundY - 14, 20, 20, dark);
    canvas.ellipse(wheel, groundY - 14, 10, 10, [168, 168, 172]);
    canvas.ellipse(wheel, groundY - 14, 3, 3, dark);
  }
}

/** A walking person of `height` pixels with feet on `groundY`; `phase` in radians moves the limbs. */
function drawWalker(canvas: Canvas, x: number, groundY: number, height: number, phase: number, coat: Colour): void {
  const unit = height / 8;
  const skin: Colour = [206, 160, 132];
  const trousers: Colour = [44, 46, 56];
  const hipY = groundY - 4 * unit;
  const shoulderY = groundY - 6.5 * unit;
  const swing = Math.sin(phase);
  for (const side of [1, -1]) {
    const kneeX = x + side * swing * 0.8 * unit;
    const footX = x + side * swing * 1.5 * unit;
    canvas.limb(x, hipY, kneeX, groundY - 2 * unit, 0.5 * unit, trousers);
    canvas.limb(kneeX, groundY - 2 * unit, footX, groundY - 0.3 * unit, 0.38 * unit, trousers);
    canvas.limb(footX, groundY - 0.2 * unit, footX + 0.6 * unit, groundY - 0.15 * unit, 0.24 * unit, [30, 26, 24]);
  }
  canvas.limb(x, shoulderY + 0.3 * unit, x, hipY, 0.85 * unit, coat);
  for (const side of [1, -1]) {
    const handX = x - side * swing * 1.1 * unit;
    canvas.limb(x, shoulderY + 0.2 * unit, handX, hipY + 0.1 * unit, 0.32 * unit, coat);
    canvas.ellipse(handX, hipY + 0.3 * unit, 0.3 * unit, 0.3 * unit, skin);
  }
  canvas.limb(x, shoulderY - 0.5 * unit, x, shoulderY, 0.3 * unit, skin);
  canvas.ellipse(x, shoulderY - 1 * unit, 0.5 * unit, 0.62 * unit, skin);
  canvas.ellipse(x - 0.1 * unit, shoulderY - 1.25 * unit, 0.5 * unit, 0.4 * unit, [58, 42, 32]);
}
