import { useEffect, useRef } from 'preact/hooks';
import { hrefOf, type Route } from '../core/routes.ts';
import type { Role } from '../core/types.ts';
import { AddCameraPage } from '../pages/add-camera.tsx';
import { AuditPage } from '../pages/audit.tsx';
import { CameraPage } from '../pages/camera.tsx';
import { EventsPage } from '../pages/events.tsx';
import { ModelsPage } from '../pages/models.tsx';
import { SignIn } from '../pages/sign-in.tsx';
import { SystemPage } from '../pages/system.tsx';
import { TokensPage } from '../pages/tokens.tsx';
import { WallPage } from '../pages/wall.tsx';
import { route } from '../state/route.ts';
import { may, session } from '../state/session.ts';
import { useStore } from '../state/store.ts';

interface Entry {
  readonly page: Exclude<Route['page'], 'camera' | 'add'>;
  readonly text: string;
  readonly role: Role;
}

const entries: readonly Entry[] = [
  { page: 'wall', text: 'Cameras', role: 'viewer' },
  { page: 'models', text: 'Models', role: 'viewer' },
  { page: 'events', text: 'Events', role: 'viewer' },
  { page: 'system', text: 'System', role: 'viewer' },
  { page: 'audit', text: 'Audit', role: 'admin' },
  { page: 'tokens', text: 'Tokens', role: 'admin' },
];

export function App() {
  const state = useStore(session.store);
  const now = useStore(route);
  const main = useRef<HTMLElement>(null);
  const place = JSON.stringify(now);
  const before = useRef(place);

  useEffect(() => {
    if (before.current === place) return;
    before.current = place;
    // A page of its own as far as people can tell: it starts at its top, and whoever does not see it hears its heading.
    window.scrollTo(0, 0);
    main.current?.focus({ preventScroll: true });
  }, [place]);

  if (state.kind === 'checking') return <p class="muted checking">Signing in…</p>;
  if (state.kind === 'unreachable') {
    return (
      <p class="checking" role="status">
        Sightline does not answer: {state.why}. Trying again…
      </p>
    );
  }
  if (state.kind === 'signed-out') return <SignIn why={state.why} />;
  return (
    <>
      <a class="skip" href="#main" onClick={(event) => (event.preventDefault(), main.current?.focus())}>
        Skip to the content
      </a>
      <header class="top">
        <a class="brand" href="#/">
          <img src="/icon.svg" alt="" width="22" height="22" />
          Sightline
        </a>
        <nav aria-label="Pages">
          <ul>
            {entries
              .filter((entry) => may(entry.role))
              .map(({ page, text }) => (
                <li key={page}>
                  <a href={hrefOf({ page })} aria-current={isCurrent(now, page) ? 'page' : undefined}>
                    {text}
                  </a>
                </li>
              ))}
          </ul>
        </nav>
        <span class="who small">
          {state.me.name} · {state.me.role}
        </span>
        <button type="button" class="quiet" onClick={() => session.signOut()}>
          Sign out
        </button>
      </header>
      <main id="main" ref={main} tabIndex={-1}>
        <Page route={now} />
      </main>
    </>
  );
}

function isCurrent(now: Route, page: Entry['page']): boolean {
  return now.page === page || (page === 'wall' && (now.page === 'camera' || now.page === 'add'));
}

function Page({ route: now }: { readonly route: Route }) {
  switch (now.page) {
    case 'wall':
      return <WallPage />;
    case 'camera':
      return <CameraPage key={now.cameraId} cameraId={now.cameraId} />;
    case 'add':
      return may('operator') ? <AddCameraPage /> : <NotAllowed />;
    case 'models':
      return <ModelsPage />;
    case 'events':
      return <EventsPage />;
    case 'system':
      return <SystemPage />;
    case 'audit':
      return may('admin') ? <AuditPage /> : <NotAllowed />;
    case 'tokens':
      return may('admin') ? <TokensPage /> : <NotAllowed />;
  }
}

function NotAllowed() {
  return (
    <>
      <h1>Not with this token</h1>
      <p>The role of this token does not open this page. An admin can make one that does.</p>
    </>
  );
}
