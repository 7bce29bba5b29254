import { createLogUpdate } from 'log-update';
import { renderLiveView, type LiveRow } from './live-view.ts';

const redrawIntervalMs = 500;
/** More lines than a terminal shows would only scroll. */
const mostRows = 40;

/** Draws the live view on a terminal and lets log lines pass above it. */
export interface LiveDisplay {
  /** For the logger: a line that belongs above the live view. */
  readonly destination: { write(line: string): void };
  start(): void;
  /** Leaves the last picture standing. May be called twice. */
  stop(): void;
}

export function createLiveDisplay(stream: NodeJS.WriteStream, rows: () => readonly LiveRow[]): LiveDisplay {
  const draw = createLogUpdate(stream, { showCursor: true });
  let timer: NodeJS.Timeout | undefined;

  function redraw(): void {
    const all = rows();
    const shown = all.slice(0, Math.min(mostRows, stream.rows - 2));
    const rest = all.length > shown.length ? `\n… and ${all.length - shown.length} more cameras` : '';
    draw(renderLiveView(shown, stream.columns) + rest);
  }

  return {
    destination: {
      write(line) {
        if (timer !== undefined) draw.clear();
        stream.write(line);
        if (timer !== undefined) redraw();
      },
    },
    start() {
      timer ??= setInterval(redraw, redrawIntervalMs).unref();
    },
    stop() {
      if (timer === undefined) return;
      clearInterval(timer);
      timer = undefined;
      redraw();
      draw.done();
    },
  };
}
