import { useCallback, useEffect, useMemo, useRef, useState } from 'preact/hooks';
import { cameraPath, readCamera, removeCamera } from '../api/api.ts';
import { listEvents } from '../api/events.ts';
import { curlLine, eventsLine } from '../core/command-lines.ts';
import { shownState } from '../core/filter-cameras.ts';
import { wallHref } from '../core/routes.ts';
import { LiveHistory, type Series } from '../core/series.ts';
import type { Camera, DetectedObject, FrameResult, Point } from '../core/types.ts';
import { durationText, fpsText, reasonSentence, timeText } from '../core/words.ts';
import { wallFilter } from '../state/route.ts';
import { may } from '../state/session.ts';
import { useLoaded } from '../state/use-loaded.ts';
import { Chart } from '../ui/chart.tsx';
import { CommandLine } from '../ui/command-line.tsx';
import { Confirm } from '../ui/confirm.tsx';
import { EventList } from '../ui/event-list.tsx';
import { GeometryEditor, type ShapeKind } from '../ui/geometry-editor.tsx';
import { LivePicture } from '../ui/live-picture.tsx';
import { Problem } from '../ui/notice.tsx';
import { StateBadge } from '../ui/state-badge.tsx';
import { CameraSettings } from './camera-settings.tsx';
import { CameraShapes } from './camera-shapes.tsx';

const refreshMs = 2_000;
const eventsRefreshMs = 5_000;
const largeFps = 10;

export function CameraPage({ cameraId }: { readonly cameraId: string }) {
  const { value: camera, problem, reload } = useLoaded(() => readCamera(cameraId), refreshMs, cameraId);
  const [removing, setRemoving] = useState(false);
  const live = useLiveResults(cameraId);
  const [hidden, setHidden] = useState<ReadonlySet<string>>(new Set());
  const shows = useCallback((object: DetectedObject) => !hidden.has(object.className), [hidden]);
  const [drawing, setDrawing] = useState<ShapeKind | undefined>();
  const [points, setPoints] = useState<readonly Point[]>([]);

  if (camera === undefined) {
    return (
      <>
        <header class="page-head">
          <h1>{cameraId}</h1>
        </header>
        <Problem problem={problem} />
        {problem === undefined ? (
          <p class="muted">Asking for the camera…</p>
        ) : (
          <a href={wallHref(wallFilter.get())}>Back to the cameras</a>
        )}
      </>
    );
  }
  const picture = { width: camera.status.widthPx ?? 1280, height: camera.status.heightPx ?? 720 };
  return (
    <>
      <header class="page-head">
        <a class="back" href={wallHref(wallFilter.get())}>
          Cameras
        </a>
        <h1>{camera.name}</h1>
        <StateBadge state={shownState(camera)} />
        <span class="grow" />
        {may('operator') && !camera.isFromFile ? (
          <button type="button" class="quiet danger" onClick={() => setRemoving(true)}>
            Remove…
          </button>
        ) : null}
      </header>
      <Problem problem={problem} />
      <div class="camera-page">
        <div class="camera-main">
          <div class="large" style={{ aspectRatio: `${picture.width} / ${picture.height}` }}>
            <LivePicture
              cameraId={camera.id}
              label={`Live picture of ${camera.name}`}
              fps={largeFps}
              active={camera.enabled}
              shows={shows}
              onResult={live.take}
            />
            <GeometryEditor
              geometry={camera.geometry}
              picture={picture}
              drawing={drawing}
              points={points}
              onPoints={setPoints}
            />
          </div>
          <ClassFilter seen={live.seen} hidden={hidden} onChange={setHidden} />
          <CameraShapes
            camera={camera}
            drawing={drawing}
            points={points}
            onDraw={(kind) => {
              setDrawing(kind);
              setPoints([]);
            }}
            onSaved={reload}
          />
          <section class="card charts" aria-label="Charts of the last minutes">
            <Chart title="Objects in the picture" unit="mean per frame" series={live.objects} />
            <Chart title="Latency by stage" unit="ms" series={live.latency} />
            <Chart title="Frames by fate" unit="per second" series={live.fates} />
          </section>
        </div>
        <div class="camera-side">
          <StatusCard camera={camera} />
          {camera.isFromFile ? (
            <p class="muted small">This camera stands in the settings file of the run and is changed there.</p>
          ) : may('operator') ? (
            <CameraSettings key={camera.id} camera={camera} onSaved={reload} />
          ) : null}
          <RecentEvents cameraId={camera.id} />
        </div>
      </div>
      {removing ? (
        <Confirm
          title={`Remove ${camera.name}?`}
          action="Remove the camera"
          asksReason={false}
          onClose={() => setRemoving(false)}
          onConfirm={async () => {
            await removeCamera(camera.id, camera.etag);
            location.hash = wallHref(wallFilter.get());
          }}
        >
          <p>Its stream is closed and its settings and shapes are deleted. Results that were written stay.</p>
          <CommandLine line={curlLine(location.origin, 'DELETE', cameraPath(camera.id), undefined, camera.etag)} />
        </Confirm>
      ) : null}
    </>
  );
}

const recentEvents = 8;

function RecentEvents({ cameraId }: { readonly cameraId: string }) {
  const filter = { camera: cameraId, kind: '', sinceMs: undefined };
  const { value: page, problem } = useLoaded(() => listEvents(filter, recentEvents), eventsRefreshMs, cameraId);
  return (
    <section class="card" aria-labelledby="events-title">
      <h2 id="events-title">Recent events</h2>
      <Problem problem={problem} />
      {page?.events.length === 0 ? <p class="muted">None yet.</p> : null}
      <EventList events={page?.events ?? []} namesCamera={false} />
      <CommandLine line={eventsLine(location.origin, { camera: cameraId, kind: '' })} label="Follow them in a shell" />
    </section>
  );
}

const emptySeries: Series = { names: [], times: [], columns: [] };
const chartEveryMs = 1_000;

/** What the live results of the open camera add up to, drawn once a second however many frames come. */
function useLiveResults(cameraId: string) {
  const history = useRef(new LiveHistory());
  const classes = useRef(new Map<string, number>());
  const [shown, setShown] = useState({
    objects: emptySeries,
    latency: emptySeries,
    fates: emptySeries,
    seen: [] as readonly string[],
  });
  useEffect(() => {
    history.current = new LiveHistory();
    classes.current = new Map();
    const timer = window.setInterval(() => {
      if (document.hidden) return;
      setShown({
        objects: history.current.objects(),
        latency: history.current.latency(),
        fates: history.current.fates(),
        seen: [...classes.current.keys()].toSorted(),
      });
    }, chartEveryMs);
    return () => window.clearInterval(timer);
  }, [cameraId]);
  const take = useCallback((result: FrameResult) => {
    history.current.add(result);
    for (const { className } of result.objects) classes.current.set(className, 1);
  }, []);
  return { ...shown, take };
}

interface ClassFilterProps {
  readonly seen: readonly string[];
  readonly hidden: ReadonlySet<string>;
  readonly onChange: (hidden: ReadonlySet<string>) => void;
}

function ClassFilter({ seen, hidden, onChange }: ClassFilterProps) {
  if (seen.length === 0) return null;
  return (
    <fieldset class="classes">
      <legend>Boxes of</legend>
      {seen.map((name) => (
        <label key={name}>
          <input
            type="checkbox"
            checked={!hidden.has(name)}
            onChange={(event) => {
              const next = new Set(hidden);
              if (event.currentTarget.checked) next.delete(name);
              else next.add(name);
              onChange(next);
            }}
          />
          {name}
        </label>
      ))}
    </fieldset>
  );
}

function StatusCard({ camera }: { readonly camera: Camera }) {
  const { status } = camera;
  const reason = reasonSentence(camera);
  const rows = useMemo(
    () =>
      [
        ['Address', camera.url],
        ['In this state since', timeText(status.sinceMs)],
        ['Picture', status.widthPx === undefined ? '–' : `${status.widthPx} × ${status.heightPx ?? '?'}`],
        ['Codec', status.codec ?? '–'],
        ['Frames in / out per second', `${fpsText(status.inFps)} / ${fpsText(status.outFps)}`],
        // The status tells it only when the state changes, so while a camera is online it would be an old truth.
        ...(camera.status.state === 'ONLINE' || status.lastFrameMs === undefined
          ? []
          : [['Last frame', `${durationText(Date.now() - status.lastFrameMs)} ago`] as const]),
        ['First result after', status.firstResultAfterMs === undefined ? '–' : durationText(status.firstResultAfterMs)],
        ['Connections made anew', String(status.reconnects ?? 0)],
        ['Tags', camera.tags.join(', ') || '–'],
      ] as const,
    [camera, status],
  );
  return (
    <section class="card" aria-labelledby="status-title">
      <h2 id="status-title">Status</h2>
      <div role="status" class={reason === '' ? '' : 'notice'}>
        {reason === '' ? null : <p>{reason}</p>}
        {status.nextRetryMs === undefined || status.nextRetryMs < Date.now() ? null : (
          <p class="small">Tried again in {durationText(status.nextRetryMs - Date.now())}.</p>
        )}
      </div>
      <dl class="rows">
        {rows.map(([label, value]) => (
          <div key={label}>
            <dt>{label}</dt>
            <dd>{value}</dd>
          </div>
        ))}
      </dl>
      <CommandLine line={curlLine(location.origin, 'GET', cameraPath(camera.id))} />
    </section>
  );
}
