import { AppError } from '#shared/core/errors';
import { urlOfMake } from '../../services/ingest/core/stream-templates.ts';
import { passwordFor } from './ask-password.ts';
import type { MakeFlags, TopicFlags } from './camera-flags.ts';

/** ID=URL and the flags of `camera add`, where the camera was named by its make instead of by a URL. */
export async function byMake(
  text: string,
  { make, host, channel, stream, user, ...flags }: TopicFlags & MakeFlags,
): Promise<{ readonly text: string; readonly flags: TopicFlags }> {
  if (make === undefined) {
    if (host !== undefined || channel !== undefined || stream !== undefined || user !== undefined)
      throw new AppError('SIGHTLINE_USAGE', '--host, --channel, --stream and --user go with --make');
    return { text, flags };
  }
  if (host === undefined) throw new AppError('SIGHTLINE_USAGE', '--make wants the address of the camera: --host');
  if (text.includes('=')) throw new AppError('SIGHTLINE_USAGE', 'with --make the camera is given by its id alone');
  const url = urlOfMake({
    ...{ make, host },
    ...(channel === undefined ? {} : { channel }),
    ...(stream === undefined ? {} : { stream }),
    ...(user === undefined ? {} : { user }),
  });
  const { passwordFile, ...rest } = flags;
  const password = user === undefined ? {} : { password: await passwordFor(`camera ${text}`, passwordFile) };
  return { text: `${text}=${url}`, flags: user === undefined ? flags : { ...rest, ...password } };
}
