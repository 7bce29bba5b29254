import type { FoundDevice } from '#shared/core/found-cameras';

/** WS-Discovery: the one question. */
export function searchMessage(messageId: string): string {
  return (
    '<?xml version="1.0" encoding="UTF-8"?>' +
    '<e:Envelope xmlns:e="http://www.w3.org/2003/05/soap-envelope" xmlns:w="http://schemas.xmlsoap.org/ws/2004/08/addressing" ' +
    'xmlns:d="http://schemas.xmlsoap.org/ws/2005/04/discovery" xmlns:dn="http://www.onvif.org/ver10/network/wsdl">' +
    `<e:Header><w:MessageID>uuid:${messageId}</w:MessageID><w:To>urn:schemas-xmlsoap-org:ws:2005:04:discovery</w:To>` +
    '<w:Action>http://schemas.xmlsoap.org/ws/2005/04/discovery/Probe</w:Action></e:Header>' +
    '<e:Body><d:Probe><d:Types>dn:NetworkVideoTransmitter</d:Types></d:Probe></e:Body></e:Envelope>'
  );
}

/** Answers of real devices take some 3 kB. */
export const maxAnswerBytes = 16 * 1024;
const maxTextLength = 100;

/**
 * What a device answered; undefined where it is no answer to our question or names no service at the address that it came from: whoever
 * answers is not to send us to another machine.
 */
export function readAnswer(xml: string, messageId: string, fromAddress: string): FoundDevice | undefined {
  if (xml.length > maxAnswerBytes || !elementOf(xml, 'RelatesTo').includes(messageId)) return undefined;
  const urn = elementOf(elementOf(xml, 'EndpointReference'), 'Address').trim();
  const services = elementOf(xml, 'XAddrs')
    .split(/\s+/)
    .flatMap((text) => (URL.canParse(text) ? [new URL(text)] : []))
    .filter(({ protocol, hostname }) => protocol === 'http:' && hostname === fromAddress);
  const [service] = services;
  if (urn === '' || service === undefined) return undefined;
  const scopes = elementOf(xml, 'Scopes').split(/\s+/);
  const scope = (name: string): string | null => {
    const prefix = `onvif://www.onvif.org/${name}/`;
    const found = scopes.find((one) => one.toLowerCase().startsWith(prefix));
    return found === undefined ? null : shown(found.slice(prefix.length));
  };
  return {
    address: fromAddress,
    port: service.port === '' ? 80 : Number(service.port),
    path: service.pathname,
    urn: urn.slice(0, maxTextLength),
    ...{ name: scope('name'), hardware: scope('hardware'), location: scope('location') },
  };
}

/** What stands in the first element of a local name, whatever its prefix; '' where there is none. */
function elementOf(xml: string, name: string): string {
  const start = new RegExp(`<(?:[\\w.-]{1,40}:)?${name}(?:\\s[^>]{0,1000})?>`).exec(xml);
  if (start === null) return '';
  const rest = xml.slice(start.index + start[0].length);
  const end = new RegExp(`</(?:[\\w.-]{1,40}:)?${name}\\s*>`).exec(rest);
  return end === null ? '' : unescaped(rest.slice(0, end.index));
}

const entities: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" };

function unescaped(text: string): string {
  return text.replaceAll(/&(amp|lt|gt|quot|apos);/g, (_, name: string) => entities[name] ?? '');
}

/** For people and terminals: without what would steer them. */
function shown(text: string): string | null {
  let decoded = text;
  try {
    decoded = decodeURIComponent(text);
  } catch {
    // Shown as it came.
  }
  const clean = decoded.replaceAll(/\p{C}/gu, '').trim().slice(0, maxTextLength);
  return clean === '' ? null : clean;
}
