import { useEffect, useState } from 'preact/hooks';
import { readStill } from '../api/events.ts';
import { hrefOf } from '../core/routes.ts';
import type { SiteEvent } from '../core/types.ts';
import { dayText, eventText, timeText } from '../core/words.ts';

interface EventListProps {
  readonly events: readonly SiteEvent[];
  /** False on the page of a camera, where it would say the same in each line. */
  readonly namesCamera: boolean;
}

/** A line for each event, newest first, with the days between. */
export function EventList({ events, namesCamera }: EventListProps) {
  const days = Map.groupBy(events, ({ timeMs }) => dayText(timeMs));
  return (
    <div class="events">
      {[...days].map(([day, ofDay]) => (
        <section key={day} aria-label={day}>
          <h2 class="event-day">{day}</h2>
          <ol>
            {ofDay.map((event) => (
              <EventLine key={event.id} event={event} namesCamera={namesCamera} />
            ))}
          </ol>
        </section>
      ))}
    </div>
  );
}

function EventLine({ event, namesCamera }: { readonly event: SiteEvent; readonly namesCamera: boolean }) {
  const { timeMs, kind, severity, cameraId, summary, reasonCode, by } = event;
  return (
    <li class={`event event-${severity}`} data-kind={kind}>
      <time class="mono muted" dateTime={new Date(timeMs).toISOString()}>
        {timeText(timeMs).slice(11)}
      </time>
      <div class="event-words">
        <p>
          {namesCamera && cameraId !== undefined ? <a href={hrefOf({ page: 'camera', cameraId })}>{cameraId}</a> : null}
          <strong>{eventText(kind)}</strong>
          {reasonCode === undefined || reasonCode === 'NONE' ? null : <span class="mono small">{reasonCode}</span>}
          {by === undefined ? null : <span class="muted small">by {by}</span>}
        </p>
        <p class="muted">{summary}</p>
      </div>
      {event.hasStill && cameraId !== undefined ? <Still cameraId={cameraId} event={event} /> : null}
    </li>
  );
}

function Still({ cameraId, event }: { readonly cameraId: string; readonly event: SiteEvent }) {
  const [address, setAddress] = useState<string | undefined>();
  useEffect(() => {
    const gone = new AbortController();
    let made: string | undefined;
    readStill(cameraId, event.id, gone.signal).then(
      (picture) => {
        made = URL.createObjectURL(picture);
        setAddress(made);
        if (gone.signal.aborted) URL.revokeObjectURL(made);
      },
      // Pictures are not kept for long; the line says all the rest.
      () => undefined,
    );
    return () => {
      gone.abort();
      if (made !== undefined) URL.revokeObjectURL(made);
    };
  }, [cameraId, event.id]);
  if (address === undefined) return null;
  return <img class="event-still" src={address} alt={`${cameraId} at ${timeText(event.timeMs)}`} />;
}
