import { useEffect, useLayoutEffect, useMemo, useRef, useState } from 'preact/hooks';
import { listCameras, paths } from '../api/api.ts';
import { curlLine } from '../core/command-lines.ts';
import { countStates, filterCameras, shownState, type CameraFilter } from '../core/filter-cameras.ts';
import { gridWindow, type GridWindow } from '../core/grid-window.ts';
import { hrefOf } from '../core/routes.ts';
import type { Camera } from '../core/types.ts';
import { durationText, fpsText, reasonSentence, stateText } from '../core/words.ts';
import { changeWallFilter, leaveWall, returnToWall, wallFilter } from '../state/route.ts';
import { may } from '../state/session.ts';
import { useStore } from '../state/store.ts';
import { useLoaded } from '../state/use-loaded.ts';
import { CommandLine } from '../ui/command-line.tsx';
import { LivePicture } from '../ui/live-picture.tsx';
import { Problem } from '../ui/notice.tsx';
import { StateBadge } from '../ui/state-badge.tsx';
import { FirstRun } from './first-run.tsx';

const refreshMs = 2_000;
const minTilePx = 260;
const gapPx = 14;
/** Name, state, reason and figures under the picture; the style sheet holds the tile to it. */
const captionPx = 80;
const tileFps = 5;
/** States in which a first picture may come any moment. */
const comesSoon: ReadonlySet<string> = new Set(['ONLINE', 'CONNECTING', 'UNKNOWN']);

export function WallPage() {
  const { value: cameras, problem } = useLoaded(listCameras, refreshMs);
  const filter = useStore(wallFilter);
  const shown = useMemo(() => filterCameras(cameras ?? [], filter), [cameras, filter]);

  if (cameras?.length === 0) return <FirstRun />;
  return (
    <>
      <header class="page-head">
        <h1>Cameras</h1>
        {cameras === undefined ? null : <StateLine cameras={cameras} />}
        {may('operator') ? (
          <a class="button primary" href={hrefOf({ page: 'add' })}>
            Add a camera
          </a>
        ) : null}
      </header>
      <Problem problem={problem} />
      <WallFilter cameras={cameras ?? []} filter={filter} onChange={changeWallFilter} />
      {cameras === undefined ? (
        <p class="muted">Asking for the cameras…</p>
      ) : shown.length === 0 ? (
        <p class="muted">No camera matches. Clear the search to see all {cameras.length}.</p>
      ) : (
        <TileGrid cameras={shown} />
      )}
      <CommandLine line={curlLine(location.origin, 'GET', paths.cameras)} label="This list in a shell" />
    </>
  );
}

/** Read out only when the numbers of states change, not at every answer of the API. */
function StateLine({ cameras }: { readonly cameras: readonly Camera[] }) {
  const words = countStates(cameras)
    .map(([state, count]) => `${count} ${stateText(state).toLowerCase()}`)
    .join(', ');
  return (
    <p class="muted grow" role="status">
      {words}
    </p>
  );
}

interface WallFilterProps {
  readonly cameras: readonly Camera[];
  readonly filter: CameraFilter;
  readonly onChange: (filter: CameraFilter) => void;
}

function WallFilter({ cameras, filter, onChange }: WallFilterProps) {
  const tags = useMemo(
    () => [...new Set([...cameras.flatMap((camera) => camera.tags), filter.tag])].filter(Boolean).toSorted(),
    [cameras, filter.tag],
  );
  return (
    <form class="filter" role="search" onSubmit={(event) => event.preventDefault()}>
      <label>
        <span>Search</span>
        <input
          type="search"
          placeholder="Name, tag or reason"
          value={filter.text}
          onInput={(event) => onChange({ ...filter, text: event.currentTarget.value })}
        />
      </label>
      <label>
        <span>State</span>
        <select value={filter.state} onChange={(event) => onChange({ ...filter, state: event.currentTarget.value })}>
          <option value="">All ({cameras.length})</option>
          {withChosen(countStates(cameras), filter.state).map(([state, count]) => (
            <option key={state} value={state}>
              {stateText(state)} ({count})
            </option>
          ))}
        </select>
      </label>
      {tags.length === 0 ? null : (
        <label>
          <span>Tag</span>
          <select value={filter.tag} onChange={(event) => onChange({ ...filter, tag: event.currentTarget.value })}>
            <option value="">All</option>
            {tags.map((tag) => (
              <option key={tag} value={tag}>
                {tag}
              </option>
            ))}
          </select>
        </label>
      )}
    </form>
  );
}

/** What is chosen stays in the list when the last camera of it is in another state. */
function withChosen(counts: ReturnType<typeof countStates>, state: string): ReturnType<typeof countStates> {
  return state === '' || counts.some(([one]) => one === state) ? counts : [...counts, [state, 0]];
}

function TileGrid({ cameras }: { readonly cameras: readonly Camera[] }) {
  const grid = useRef<HTMLUListElement>(null);
  const [view, setView] = useState<GridWindow | undefined>();

  useEffect(() => {
    const target = grid.current;
    if (target === null) return undefined;
    let asked = 0;
    const measure = (): void => {
      asked = 0;
      const place = target.getBoundingClientRect();
      const next = gridWindow({
        count: cameras.length,
        widthPx: target.clientWidth,
        minTilePx,
        gapPx,
        captionPx,
        scrolledPx: -place.top,
        viewportPx: window.innerHeight,
      });
      setView((before) => (before !== undefined && sameWindow(before, next) ? before : next));
    };
    const ask = (): void => {
      if (asked === 0) asked = requestAnimationFrame(measure);
    };
    measure();
    window.addEventListener('scroll', ask, { passive: true });
    const watcher = new ResizeObserver(ask);
    watcher.observe(document.documentElement);
    return () => {
      cancelAnimationFrame(asked);
      window.removeEventListener('scroll', ask);
      watcher.disconnect();
    };
  }, [cameras.length]);

  const isPlaced = view !== undefined;
  useLayoutEffect(() => {
    if (!isPlaced) return undefined;
    // The grid has its height now, whichever tiles are in it.
    let scrolledPx = returnToWall();
    window.scrollTo(0, scrolledPx);
    const keep = (): void => {
      scrolledPx = window.scrollY;
    };
    window.addEventListener('scroll', keep, { passive: true });
    // Word of scrolling comes with the next picture of the screen; whoever is quicker leaves by a click.
    window.addEventListener('click', keep, { capture: true });
    return () => {
      window.removeEventListener('scroll', keep);
      window.removeEventListener('click', keep, { capture: true });
      leaveWall(scrolledPx);
    };
  }, [isPlaced]);

  const columns = view?.columns ?? 1;
  const tiles = view === undefined ? [] : cameras.slice(view.first, view.end);
  return (
    <ul ref={grid} class="wall" style={{ height: `${view?.totalPx ?? 0}px` }}>
      {tiles.map((camera, offset) => {
        const index = (view?.first ?? 0) + offset;
        const column = index % columns;
        return (
          <li
            key={camera.id}
            aria-setsize={cameras.length}
            aria-posinset={index + 1}
            style={{
              width: `calc((100% - ${gapPx * (columns - 1)}px) / ${columns})`,
              left: `calc((100% + ${gapPx}px) / ${columns} * ${column})`,
              top: `${Math.floor(index / columns) * (view?.rowPx ?? 0)}px`,
              height: `${(view?.rowPx ?? 0) - gapPx}px`,
            }}
          >
            <Tile camera={camera} />
          </li>
        );
      })}
    </ul>
  );
}

function sameWindow(a: GridWindow, b: GridWindow): boolean {
  return (
    a.columns === b.columns && a.first === b.first && a.end === b.end && a.rowPx === b.rowPx && a.totalPx === b.totalPx
  );
}

function Tile({ camera }: { readonly camera: Camera }) {
  const place = useRef<HTMLElement>(null);
  const [inView, setInView] = useState(false);
  const seenMs = useRef<number | undefined>(undefined);
  useEffect(() => {
    const target = place.current;
    if (target === null) return undefined;
    const watcher = new IntersectionObserver((entries) => setInView(entries.at(-1)?.isIntersecting === true), {
      rootMargin: '80px',
    });
    watcher.observe(target);
    return () => watcher.disconnect();
  }, []);

  const state = shownState(camera);
  const reason = reasonSentence(camera);
  const { inFps, outFps, lastFrameMs, sinceMs } = camera.status;
  // The status tells its last frame only when the state changes; while a camera is online, what was seen here is the truth.
  const ageFromMs = state === 'ONLINE' ? seenMs.current : lastFrameMs;
  return (
    <article ref={place} class="tile" data-state={state}>
      <a href={hrefOf({ page: 'camera', cameraId: camera.id })}>
        <LivePicture
          cameraId={camera.id}
          label={`Live picture of ${camera.name}`}
          fps={tileFps}
          active={inView && camera.enabled}
          onResult={() => {
            seenMs.current = Date.now();
          }}
          {...(comesSoon.has(state) ? {} : { waitingText: 'No picture' })}
        />
        <div class="tile-line">
          <strong class="clip">{camera.name}</strong>
          <StateBadge state={state} />
        </div>
      </a>
      <p class="tile-reason clip" title={reason}>
        {reason === '' ? (sinceMs === undefined ? ' ' : `for ${durationText(Date.now() - sinceMs)}`) : reason}
      </p>
      <dl class="figures">
        <Figure label="fps in" value={fpsText(inFps)} />
        <Figure label="fps out" value={fpsText(outFps)} />
        <Figure label="age" value={ageFromMs === undefined ? '–' : durationText(Date.now() - ageFromMs)} />
      </dl>
    </article>
  );
}

function Figure({ label, value }: { readonly label: string; readonly value: string }) {
  return (
    <div>
      <dt>{label}</dt>
      <dd>{value}</dd>
    </div>
  );
}
