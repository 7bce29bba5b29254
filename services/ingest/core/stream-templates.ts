import { AppError } from '#shared/core/errors';

/** Where cameras of a make have their streams, as their documentation says. `{channel}` counts from 1, `{channel2}` is the same with two digits. */
export interface StreamTemplate {
  readonly make: string;
  readonly name: string;
  /** Path and query of the full picture. */
  readonly main: string;
  /** Of the smaller one; null where the make has no fixed address for it. */
  readonly sub: string | null;
  /** Where that is written. */
  readonly source: string;
  readonly note: string;
}

/** Each was looked up where `source` says; a make whose addresses could not be found in writing is not in here. */
export const streamTemplates: readonly StreamTemplate[] = [
  {
    make: 'axis',
    name: 'Axis',
    main: '/axis-media/media.amp?camera={channel}',
    sub: '/axis-media/media.amp?camera={channel}&resolution=640x480',
    source: 'https://developer.axis.com/video-streaming-and-recording/video-streaming/getting-started/',
    note: 'The smaller stream is scaled by the camera; one that is wide may want another resolution.',
  },
  {
    make: 'dahua',
    name: 'Dahua',
    main: '/cam/realmonitor?channel={channel}&subtype=0',
    sub: '/cam/realmonitor?channel={channel}&subtype=1',
    source: 'https://help.dayta.ai/knowledge-base/how-do-i-get-the-rtsp-stream-url-from-my-camera/',
    note: 'Also of recorders, with the channel of the camera.',
  },
  {
    make: 'hanwha',
    name: 'Hanwha (Wisenet)',
    main: '/profile2/media.smp',
    sub: null,
    source: 'https://support.hanwhavision.eu/hc/en-gb/articles/4414178841746-RTSP-URL-s',
    note: 'profile2 is the usual one; others are /profileN/media.smp by what was set up at the camera.',
  },
  {
    make: 'hikvision',
    name: 'Hikvision, HiLook',
    main: '/Streaming/Channels/{channel}01',
    sub: '/Streaming/Channels/{channel}02',
    source: 'https://supportusa.hikvision.com/support/solutions/articles/17000129022',
    note: 'Also of recorders, with the channel of the camera.',
  },
  {
    make: 'reolink',
    name: 'Reolink',
    main: '/Preview_{channel2}_main',
    sub: '/Preview_{channel2}_sub',
    source: 'https://support.reolink.com/hc/en-us/articles/900000630706-Introduction-to-RTSP/',
    note: 'RTSP has to be switched on at the camera; those with a battery have none.',
  },
  {
    make: 'tapo',
    name: 'TP-Link Tapo',
    main: '/stream1',
    sub: '/stream2',
    source: 'https://gist.github.com/im-noob/490f467175715b616055453fa8de8f4b',
    note: 'Wants a camera account, made in the app under advanced settings.',
  },
  {
    make: 'uniview',
    name: 'Uniview',
    main: '/unicast/c{channel}/s0/live',
    sub: '/unicast/c{channel}/s1/live',
    source: 'https://github.com/Mi-Bee-Studio/MiBeeNvr/wiki/Camera-Guide-zh',
    note: 'Older cameras have /video1 and /video2.',
  },
];

export interface TemplateChoice {
  readonly make: string;
  readonly host: string;
  readonly channel?: number;
  readonly stream?: 'main' | 'sub';
  readonly user?: string;
}

/** The URL of a camera of a make, without its password. Throws SIGHTLINE_USAGE where there is no such stream. */
export function urlOfMake({ make, host, channel = 1, stream = 'main', user }: TemplateChoice): string {
  const template = streamTemplates.find((one) => one.make === make.toLowerCase());
  if (template === undefined) {
    throw new AppError('SIGHTLINE_USAGE', `the make ${make} is not known`, {
      action: `Give one of ${streamTemplates.map((one) => one.make).join(', ')}, or the whole URL.`,
    });
  }
  const pattern = stream === 'main' ? template.main : template.sub;
  if (pattern === null) throw new AppError('SIGHTLINE_USAGE', `cameras of ${template.name} have no fixed sub stream`);
  if (channel !== 1 && !pattern.includes('{channel'))
    throw new AppError('SIGHTLINE_USAGE', `cameras of ${template.name} have no channels`);
  const path = pattern.replace('{channel2}', String(channel).padStart(2, '0')).replace('{channel}', String(channel));
  // Addresses of IPv6 have brackets in a URL, with or without which people give them.
  const place = /^[0-9a-f:.]*:[0-9a-f:.]*:[0-9a-f:.]*$/i.test(host) ? `[${host}]` : host;
  return `rtsp://${user === undefined ? '' : `${encodeURIComponent(user)}@`}${place}${path}`;
}
