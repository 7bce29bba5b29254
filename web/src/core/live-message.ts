/**
 * One message of the live socket: the length of the JSON (4 bytes, big-endian), the JSON of the frame's result, and the picture of exactly
 * that frame as JPEG. In one message, so a box can never be drawn over another frame than its own.
 */
export interface LiveMessage {
  readonly json: unknown;
  readonly jpeg: Uint8Array<ArrayBuffer>;
}

const headerBytes = 4;

export function parseLiveMessage(data: ArrayBuffer): LiveMessage | undefined {
  if (data.byteLength < headerBytes) return undefined;
  const jsonBytes = new DataView(data).getUint32(0);
  if (jsonBytes > data.byteLength - headerBytes) return undefined;
  try {
    const json: unknown = JSON.parse(new TextDecoder().decode(new Uint8Array(data, headerBytes, jsonBytes)));
    return { json, jpeg: new Uint8Array(data, headerBytes + jsonBytes) };
  } catch {
    return undefined;
  }
}
