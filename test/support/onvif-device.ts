import { createHash } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface OnvifDevice {
  readonly port: number;
  /** Where it listens for the search. */
  readonly searchPort: number;
  /** Local names of the SOAP requests that came, in order. */
  readonly asked: readonly string[];
  close(): Promise<void>;
}

export interface OnvifDeviceOptions {
  readonly user: string;
  readonly password: string;
  /** What its services and streams are said to be at; a device behind a router names an address of its own. */
  readonly claimedHost?: string;
  /** In place of the answer to a request, by its local name. */
  readonly answers?: Readonly<Record<string, string>>;
  /** In place of the service that it names to the search. */
  readonly foundAt?: string;
}

/** An ONVIF device on loopback, as far as a search and the choice of a profile need one: SOAP with WS-Security, and WS-Discovery by unicast. */
export async function startOnvifDevice(options: OnvifDeviceOptions): Promise<OnvifDevice> {
  const asked: string[] = [];
  const server = createServer((request, response) => {
    let body = '';
    request.on('data', (chunk: Buffer) => (body += chunk.toString()));
    request.on('end', () => {
      const name = /<(?:\w+:)?Body[^>]*>\s*<(?:\w+:)?(\w+)/.exec(body)?.[1] ?? '';
      asked.push(name);
      const isOpen = name === 'GetSystemDateAndTime';
      const isAllowed = isOpen || isSigned(body, options);
      response.writeHead(isAllowed ? 200 : 400, { 'content-type': 'application/soap+xml' });
      response.end(
        isAllowed ? (options.answers?.[name] ?? envelope(answerTo(name, body, options, port))) : envelope(refusal),
      );
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo; // a TCP server that listens has one of this kind
  const socket = createSocket('udp4');
  socket.on('message', (question, from) => {
    const id = /MessageID>(?:uuid:)?([^<]+)</.exec(question.toString())?.[1] ?? '';
    const at = options.foundAt ?? `http://127.0.0.1:${port}/onvif/device_service`;
    socket.send(found(id, at), from.port, from.address);
  });
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  return {
    ...{ port, asked, searchPort: socket.address().port },
    async close() {
      socket.close();
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

const refusal =
  '<s:Fault><s:Code><s:Value>s:Sender</s:Value><s:Subcode><s:Value>ter:NotAuthorized</s:Value></s:Subcode></s:Code>' +
  '<s:Reason><s:Text xml:lang="en">Sender not Authorized</s:Text></s:Reason></s:Fault>';

/** WS-Security UsernameToken with a digest of the password. */
function isSigned(body: string, { user, password }: OnvifDeviceOptions): boolean {
  const part = (name: string): string => new RegExp(`<(?:\\w+:)?${name}(?:\\s[^>]*)?>([^<]*)<`).exec(body)?.[1] ?? '';
  const nonce = Buffer.from(part('Nonce'), 'base64');
  const digest = createHash('sha1').update(nonce).update(part('Created')).update(password).digest('base64');
  return part('Username') === user && part('Password') === digest;
}

function envelope(body: string): string {
  return (
    '<?xml version="1.0"?><s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope" xmlns:tt="http://www.onvif.org/ver10/schema" ' +
    'xmlns:trt="http://www.onvif.org/ver10/media/wsdl" xmlns:tds="http://www.onvif.org/ver10/device/wsdl" xmlns:ter="http://www.onvif.org/ver10/error">' +
    `<s:Body>${body}</s:Body></s:Envelope>`
  );
}

function answerTo(name: string, body: string, { claimedHost = '127.0.0.1' }: OnvifDeviceOptions, port: number): string {
  const now = new Date();
  const base = `http://${claimedHost}:${port}/onvif`;
  switch (name) {
    case 'GetSystemDateAndTime':
      return (
        '<tds:GetSystemDateAndTimeResponse><tds:SystemDateAndTime><tt:DateTimeType>NTP</tt:DateTimeType><tt:UTCDateTime>' +
        `<tt:Time><tt:Hour>${now.getUTCHours()}</tt:Hour><tt:Minute>${now.getUTCMinutes()}</tt:Minute><tt:Second>${now.getUTCSeconds()}</tt:Second></tt:Time>` +
        `<tt:Date><tt:Year>${now.getUTCFullYear()}</tt:Year><tt:Month>${now.getUTCMonth() + 1}</tt:Month><tt:Day>${now.getUTCDate()}</tt:Day></tt:Date>` +
        '</tt:UTCDateTime></tds:SystemDateAndTime></tds:GetSystemDateAndTimeResponse>'
      );
    case 'GetServices':
      return `<tds:GetServicesResponse>${service('device', base)}${service('media', base)}</tds:GetServicesResponse>`;
    case 'GetProfiles':
      return `<trt:GetProfilesResponse>${profile('main', 1920, 1080, 25)}${profile('sub', 640, 360, 15)}</trt:GetProfilesResponse>`;
    case 'GetStreamUri': {
      const token = /ProfileToken>([^<]*)</.exec(body)?.[1] ?? '';
      const uri = `rtsp://admin:secret@${claimedHost}:554/stream/${token}?a=1&amp;b=2`;
      return `<trt:GetStreamUriResponse><trt:MediaUri><tt:Uri>${uri}</tt:Uri></trt:MediaUri></trt:GetStreamUriResponse>`;
    }
    case 'GetDeviceInformation':
      return (
        '<tds:GetDeviceInformationResponse><tds:Manufacturer>Acme</tds:Manufacturer><tds:Model>X-100</tds:Model>' +
        '<tds:FirmwareVersion>1.2</tds:FirmwareVersion></tds:GetDeviceInformationResponse>'
      );
    default:
      return refusal.replace('NotAuthorized', 'ActionNotSupported');
  }
}

function service(name: string, base: string): string {
  return `<tds:Service><tds:Namespace>http://www.onvif.org/ver10/${name}/wsdl</tds:Namespace><tds:XAddr>${base}/${name}</tds:XAddr></tds:Service>`;
}

function profile(token: string, width: number, height: number, fps: number): string {
  return (
    `<trt:Profiles token="${token}" fixed="true"><tt:Name>${token} stream</tt:Name><tt:VideoEncoderConfiguration token="e-${token}">` +
    `<tt:Encoding>H264</tt:Encoding><tt:Resolution><tt:Width>${width}</tt:Width><tt:Height>${height}</tt:Height></tt:Resolution>` +
    `<tt:RateControl><tt:FrameRateLimit>${fps}</tt:FrameRateLimit></tt:RateControl></tt:VideoEncoderConfiguration></trt:Profiles>`
  );
}

function found(id: string, at: string): string {
  return (
    '<SOAP-ENV:Envelope xmlns:SOAP-ENV="http://www.w3.org/2003/05/soap-envelope" xmlns:wsa="http://schemas.xmlsoap.org/ws/2004/08/addressing" ' +
    `xmlns:d="http://schemas.xmlsoap.org/ws/2005/04/discovery"><SOAP-ENV:Header><wsa:RelatesTo>uuid:${id}</wsa:RelatesTo></SOAP-ENV:Header>` +
    '<SOAP-ENV:Body><d:ProbeMatches><d:ProbeMatch><wsa:EndpointReference><wsa:Address>urn:uuid:acme-1</wsa:Address></wsa:EndpointReference>' +
    '<d:Scopes>onvif://www.onvif.org/name/Yard%20cam onvif://www.onvif.org/hardware/X-100</d:Scopes>' +
    `<d:XAddrs>http://[fe80::1]/onvif/device_service ${at}</d:XAddrs></d:ProbeMatch></d:ProbeMatches></SOAP-ENV:Body></SOAP-ENV:Envelope>`
  );
}
