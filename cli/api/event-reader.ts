/** A server-sent event. */
export interface ServerEvent {
  readonly event: string;
  readonly data: string;
}

/** Nothing that the API sends comes near it; what grows without an end of line is not its stream. */
const maxWaitingCharacters = 8 * 1024 * 1024;

/** The events of a stream, until it ends. Comments, ids and reconnection times are passed over. */
export async function* readEvents(stream: ReadableStream<Uint8Array>): AsyncGenerator<ServerEvent, void> {
  let waiting = '';
  let event = 'message';
  let data: string[] = [];
  for await (const text of stream.pipeThrough(new TextDecoderStream())) {
    const lines = (waiting + text).split('\n');
    waiting = lines.pop() ?? '';
    if (waiting.length > maxWaitingCharacters) throw new RangeError('a line of the stream of events has no end');
    for (const line of lines) {
      const [, field, value = ''] = /^([a-z]*)(?:: ?(.*?))?\r?$/s.exec(line) ?? [];
      if (field === 'event') event = value;
      else if (field === 'data') data.push(value);
      else if (field === '' && line.trim() === '') {
        if (data.length > 0) yield { event, data: data.join('\n') };
        event = 'message';
        data = [];
      }
    }
  }
}
