import {
  openDetectorSession,
  type DetectorSession,
} from '../../services/inference/adapters/onnxruntime/detector-session.ts';
import type { ModelManifest } from '../../services/inference/core/model.ts';
import { scoreRules } from '../../services/inference/core/score-rules.ts';

/** The forked variant of the engine, for runner-comparison.ts only: images and boxes cross by copy over a pipe. */
export type ToChild =
  | { readonly kind: 'load'; readonly bytes: Uint8Array<ArrayBuffer>; readonly manifest: ModelManifest }
  | {
      readonly kind: 'detect';
      readonly widthPx: number;
      readonly heightPx: number;
      readonly data: Uint8Array<ArrayBuffer>;
    }
  | { readonly kind: 'cpu' };

export type FromChild =
  | { readonly kind: 'loaded' }
  | { readonly kind: 'detected'; readonly boxes: Float32Array }
  | { readonly kind: 'cpu'; readonly cpuUs: number };

let session: DetectorSession | undefined;

function say(message: FromChild): void {
  process.send?.(message);
}

async function handle(message: ToChild): Promise<void> {
  switch (message.kind) {
    case 'load':
      session = await openDetectorSession(message.bytes, message.manifest, scoreRules(message.manifest));
      say({ kind: 'loaded' });
      return;
    case 'detect': {
      const { widthPx, heightPx, data } = message;
      // What comes over the pipe is a Buffer; the session reads it as the bytes that it is.
      const result = await session?.detect({ format: 'gbrp', widthPx, heightPx, data });
      say({ kind: 'detected', boxes: result?.boxes ?? new Float32Array() });
      return;
    }
    case 'cpu': {
      const { user, system } = process.cpuUsage();
      say({ kind: 'cpu', cpuUs: user + system });
    }
  }
}

process.on('message', (message: ToChild) => {
  handle(message).catch((error: unknown) => {
    process.stderr.write(`${String(error)}\n`);
    process.exitCode = 1;
    process.disconnect();
  });
});
