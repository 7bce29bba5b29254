import { hrefOf } from '../core/routes.ts';
import { may } from '../state/session.ts';
import { CommandLine } from '../ui/command-line.tsx';
import { AddCameraForm } from './add-camera.tsx';

export function FirstRun() {
  return (
    <>
      <header class="page-head">
        <h1>No camera yet</h1>
      </header>
      {may('operator') ? (
        <section class="card" aria-labelledby="first-camera">
          <h2 id="first-camera">Connect a camera</h2>
          <AddCameraForm onAdded={(id) => (location.hash = hrefOf({ page: 'camera', cameraId: id }))} />
        </section>
      ) : (
        <p>Nobody has registered a camera that this token may see. An operator can add one.</p>
      )}
      <section class="card" aria-labelledby="first-demo">
        <h2 id="first-demo">Or look at the demo</h2>
        <p>Without a camera at hand, a run shows a street scene that was drawn for this purpose:</p>
        <CommandLine line="npm start" label="Start the demo" />
      </section>
    </>
  );
}
