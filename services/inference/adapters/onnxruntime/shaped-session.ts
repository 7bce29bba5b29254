import { AppError } from '#shared/core/errors';
import type { SizePx } from '#shared/core/inference-geometry';
import { inputSizeFor, shapeOf } from '#shared/core/input-shape';
import type { ModelManifest, ScoreRules } from '../../core/model.ts';
import { inputSizeOfAspect, withInputSize } from '../../core/model-shape.ts';
import { resizeOnnxInput } from '../../core/onnx-input-size.ts';
import type { ExecutionProvider } from '../../core/ports.ts';
import { openDetectorSession, type DetectorSession } from './detector-session.ts';

/** Cameras come in two or three shapes; each costs a session's memory. Of more the one that was used longest ago is closed. */
const maxOpenShapes = 6;

/**
 * A session that runs each picture in the shape that the manifest asks for: one runtime session a shape, opened when the first picture of it
 * comes, since the runtime plans layout and memory for sizes that it knows. Boxes are in pixels of the shape that was run. The shape of a 16:9
 * camera is opened at once, so that a model that takes none but its own is refused with SIGHTLINE_MODEL_SHAPE_FIXED before a camera runs on it.
 */
export async function openShapedSession(
  bytes: Uint8Array<ArrayBuffer>,
  manifest: ModelManifest,
  rules: ScoreRules,
  provider: ExecutionProvider = 'cpu',
): Promise<DetectorSession> {
  const { input } = manifest;
  if (shapeOf(input) === 'fixed') return openDetectorSession(bytes, manifest, rules, provider);
  /** Used longest ago first. */
  const sessions = new Map<string, DetectorSession>();

  function open(sized: ModelManifest): Promise<DetectorSession> {
    return openDetectorSession(resizeOnnxInput(bytes, sized.input), sized, rules, provider);
  }

  async function sessionFor(size: SizePx): Promise<DetectorSession> {
    const key = `${size.widthPx}x${size.heightPx}`;
    const known = sessions.get(key);
    sessions.delete(key);
    const [oldest] = sessions;
    if (known === undefined && oldest !== undefined && sessions.size >= maxOpenShapes) {
      sessions.delete(oldest[0]);
      await oldest[1].close();
    }
    const session = known ?? (await open(withInputSize(manifest, size)));
    sessions.set(key, session);
    return session;
  }

  try {
    await sessionFor(inputSizeOfAspect(manifest, 16, 9));
  } catch (error) {
    throw new AppError(
      'SIGHTLINE_MODEL_SHAPE_FIXED',
      `model ${manifest.name} does not run in another shape than ${input.widthPx}x${input.heightPx}: ${reasonOf(error)}`,
      { cause: error },
    );
  }
  return {
    async detect(image) {
      return (await sessionFor(inputSizeFor(image, input))).detect(image);
    },
    async close() {
      const all = [...sessions.values()];
      sessions.clear();
      for (const session of all) await session.close();
    },
  };
}

function reasonOf(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).slice(0, 300);
}
