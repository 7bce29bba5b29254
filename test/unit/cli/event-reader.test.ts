import { expect, test } from 'vitest';
import { readEvents, type ServerEvent } from '../../../cli/api/event-reader.ts';

async function eventsOf(chunks: readonly Uint8Array[]): Promise<ServerEvent[]> {
  const events: ServerEvent[] = [];
  for await (const event of readEvents(ReadableStream.from(chunks))) events.push(event);
  return events;
}

test('events are the same however the stream is cut', async () => {
  const text =
    ': connected\n\nevent: result\nid: 1\ndata: {"a":"ü"}\n\ndata: x\r\ndata: y\r\n\r\n: heartbeat\n\nevent: late\ndata: torn';
  const bytes = new TextEncoder().encode(text);
  const expected = [
    { event: 'result', data: '{"a":"ü"}' },
    { event: 'message', data: 'x\ny' },
  ];
  for (let size = 1; size <= bytes.length; size += 3) {
    const chunks = Array.from({ length: Math.ceil(bytes.length / size) }, (_, at) =>
      bytes.slice(at * size, (at + 1) * size),
    );
    expect(await eventsOf(chunks)).toEqual(expected);
  }
});
