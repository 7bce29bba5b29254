import type { CameraStatus, DetectionFrame } from '#schemas';
import { answerOf, eventStreamType, openApi } from '../api/api-client.ts';
import type { ApiFlags } from '../api/api-address.ts';
import { followStream } from '../api/follow-stream.ts';
import { print } from './output.ts';
import { jsonLines, textLines } from './record-lines.ts';

interface ApiTailFlags extends ApiFlags {
  readonly camera?: string;
  readonly class?: string;
  readonly json?: true;
}

/** Prints results as the API sends them, until SIGINT, SIGTERM or a reader that has gone. */
export async function tailApi(flags: ApiTailFlags): Promise<void> {
  const api = await openApi(flags);
  const query = {
    ...(flags.camera === undefined ? {} : { camera: flags.camera }),
    ...(flags.class === undefined ? {} : { class: flags.class }),
  };
  const headers = { accept: eventStreamType };
  const toLines = flags.json === true ? jsonLines : textLines;
  await followStream(api, {
    what: 'results',
    open: (signal) =>
      answerOf(api, api.client.GET('/api/v1/results', { params: { query }, headers, parseAs: 'stream', signal })),
    async take({ event, data }) {
      const told: unknown = JSON.parse(data);
      // What the document says of these events.
      switch (event) {
        case 'dropped':
          process.stderr.write(`missed ${(told as { readonly count: number }).count} events: reading too slowly\n`);
          return true;
        case 'result':
          return printAll(toLines({ schema: 'detection-frame', records: [told as DetectionFrame] }, undefined));
        case 'status':
          return printAll(toLines({ schema: 'camera-status', records: [told as CameraStatus] }, undefined));
        default:
          return true;
      }
    },
  });
}

async function printAll(lines: readonly string[]): Promise<boolean> {
  return lines.length === 0 || print(lines.join(''));
}
