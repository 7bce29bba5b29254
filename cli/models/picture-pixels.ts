import { execFile } from 'node:child_process';
import { AppError } from '#shared/core/errors';
import type { PlanarImage } from '#shared/core/frame';
import { inferenceSize, type InputGeometry, type SizePx } from '#shared/core/inference-geometry';
import { scaleFilter } from '../../services/ingest/adapters/ffmpeg/ffmpeg-arguments.ts';

const timeoutMs = 30_000;

/** Size of a picture (or of the first frame of a clip) as ffprobe sees it. */
export async function pictureSize(file: string): Promise<SizePx> {
  const entries = ['-select_streams', 'v:0', '-show_entries', 'stream=width,height', '-of', 'csv=p=0'];
  const text = (await runTool('ffprobe', ['-v', 'error', ...entries, '--', file], file)).toString();
  const [widthPx = 0, heightPx = 0] = text.split(/[,\n]/).map(Number);
  if (widthPx > 0 && heightPx > 0) return { widthPx, heightPx };
  throw new AppError('SIGHTLINE_USAGE', `${file} is not a picture`);
}

/** Length of a clip; 0 where its container does not say. */
export async function clipDurationSeconds(file: string): Promise<number> {
  const entries = ['-show_entries', 'format=duration', '-of', 'csv=p=0'];
  const seconds = Number((await runTool('ffprobe', ['-v', 'error', ...entries, '--', file], file)).toString());
  return Number.isFinite(seconds) ? seconds : 0;
}

/** A picture as the model's input wants it, scaled by the same filter as the frames of a camera. */
export async function picturePixels(
  file: string,
  source: SizePx,
  geometry: InputGeometry,
  ffmpeg = 'ffmpeg',
): Promise<PlanarImage> {
  const size = inferenceSize(source.widthPx, source.heightPx, geometry);
  const output = ['-frames:v', '1', '-vf', scaleFilter(geometry), '-f', 'rawvideo', '-pix_fmt', 'gbrp', 'pipe:1'];
  const data = await runTool(ffmpeg, ['-v', 'error', '-nostdin', '-i', file, ...output], file);
  if (data.length !== size.widthPx * size.heightPx * 3) {
    throw new AppError('SIGHTLINE_USAGE', `${file} is not a picture of ${source.widthPx}x${source.heightPx} px`);
  }
  return { format: 'gbrp', ...size, data: new Uint8Array(data) };
}

function runTool(tool: string, args: readonly string[], file: string): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    execFile(
      tool,
      args,
      { encoding: 'buffer', timeout: timeoutMs, killSignal: 'SIGKILL', maxBuffer: 256 * 1024 * 1024 },
      (error, stdout, stderr) => {
        if (error === null) resolve(stdout);
        else if (error.code === 'ENOENT')
          reject(new AppError('SIGHTLINE_FFMPEG_MISSING', `${tool} is not installed`, { cause: error }));
        else {
          const reason = stderr.toString().trim().split('\n').at(-1) ?? '';
          reject(new AppError('SIGHTLINE_USAGE', `${file} cannot be read as a picture: ${reason.slice(0, 200)}`));
        }
      },
    );
  });
}
