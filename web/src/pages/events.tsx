import { useState } from 'preact/hooks';
import { listCameras } from '../api/api.ts';
import { eventsQuery, listEvents, type EventFilter, type EventPage } from '../api/events.ts';
import { ApiError } from '../api/request.ts';
import { curlLine, eventsLine } from '../core/command-lines.ts';
import { useLoaded } from '../state/use-loaded.ts';
import { CommandLine } from '../ui/command-line.tsx';
import { EventList } from '../ui/event-list.tsx';
import { Problem } from '../ui/notice.tsx';

const refreshMs = 3_000;
const pageSize = 50;
const hourMs = 3_600_000;

const spans: readonly (readonly [text: string, ms: number | undefined])[] = [
  ['All that is kept', undefined],
  ['The last hour', hourMs],
  ['The last day', 24 * hourMs],
  ['The last week', 7 * 24 * hourMs],
];
const groups = [
  ['', 'Everything'],
  ['camera', 'Cameras'],
  ['registration', 'Registrations'],
  ['model', 'Models'],
  ['drift', 'Drift'],
] as const;

export function EventsPage() {
  const [camera, setCamera] = useState('');
  const [kind, setKind] = useState('');
  const [span, setSpan] = useState(0);
  const { value: cameras } = useLoaded(listCameras, undefined);
  return (
    <>
      <header class="page-head">
        <h1>Events</h1>
      </header>
      <div class="filter">
        <label>
          Camera
          <select value={camera} onChange={(event) => setCamera(event.currentTarget.value)}>
            <option value="">All</option>
            {cameras?.map(({ id, name }) => (
              <option key={id} value={id}>
                {name}
              </option>
            ))}
          </select>
        </label>
        <label>
          About
          <select value={kind} onChange={(event) => setKind(event.currentTarget.value)}>
            {groups.map(([value, text]) => (
              <option key={value} value={value}>
                {text}
              </option>
            ))}
          </select>
        </label>
        <label>
          Time
          <select value={span} onChange={(event) => setSpan(Number(event.currentTarget.value))}>
            {spans.map(([text], index) => (
              <option key={text} value={index}>
                {text}
              </option>
            ))}
          </select>
        </label>
      </div>
      <Timeline key={`${camera}/${kind}/${span}`} camera={camera} kind={kind} spanMs={spans[span]?.[1]} />
    </>
  );
}

interface TimelineProps {
  readonly camera: string;
  readonly kind: string;
  readonly spanMs: number | undefined;
}

function Timeline({ camera, kind, spanMs }: TimelineProps) {
  const filterNow = (): EventFilter => ({
    ...{ camera, kind },
    sinceMs: spanMs === undefined ? undefined : Date.now() - spanMs,
  });
  const { value: newest, problem } = useLoaded(() => listEvents(filterNow(), pageSize), refreshMs);
  const [older, setOlder] = useState<EventPage | undefined>();
  const [olderProblem, setOlderProblem] = useState<ApiError | undefined>();

  async function readOlder(cursor: string): Promise<void> {
    try {
      const page = await listEvents(filterNow(), pageSize, cursor);
      setOlder((before) => ({ events: [...(before?.events ?? []), ...page.events], next: page.next }));
      setOlderProblem(undefined);
    } catch (error) {
      setOlderProblem(error instanceof ApiError ? error : new ApiError(0, undefined, String(error)));
    }
  }

  const seen = new Set(older?.events.map(({ id }) => id));
  const events = [...(newest?.events.filter(({ id }) => !seen.has(id)) ?? []), ...(older?.events ?? [])];
  const next = older === undefined ? newest?.next : older.next;
  return (
    <>
      <Problem problem={problem ?? olderProblem} />
      {newest === undefined ? (
        problem === undefined ? (
          <p class="muted">Asking for what happened…</p>
        ) : null
      ) : events.length === 0 ? (
        <p class="muted">Nothing that matches happened in this time.</p>
      ) : (
        <EventList events={events} namesCamera={camera === ''} />
      )}
      {next === undefined ? null : (
        <div class="actions start">
          {/* It catches its failures itself. */}
          <button type="button" onClick={() => void readOlder(next)}>
            Show older ones
          </button>
        </div>
      )}
      <p class="muted small">Times in UTC.</p>
      <CommandLine line={eventsLine(location.origin, { camera, kind })} label="Follow this in a shell" />
      <CommandLine
        line={curlLine(location.origin, 'GET', eventsQuery(filterNow(), pageSize))}
        label="This list by curl"
      />
    </>
  );
}
