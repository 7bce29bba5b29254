import { useState } from 'preact/hooks';
import { cameraPath, changeCamera, type CameraChange } from '../api/api.ts';
import { ApiError } from '../api/request.ts';
import { curlLine } from '../core/command-lines.ts';
import type { Camera } from '../core/types.ts';
import { messageOf } from '../state/session.ts';
import { CommandLine } from '../ui/command-line.tsx';
import { Problem } from '../ui/notice.tsx';

export interface CameraSettingsProps {
  readonly camera: Camera;
  readonly onSaved: () => Promise<void>;
}

export function CameraSettings({ camera, onSaved }: CameraSettingsProps) {
  const [fps, setFps] = useState(String(camera.targetFps ?? ''));
  const [enabled, setEnabled] = useState(camera.enabled);
  // What was shown when editing began; somebody else's change since then is a 412 and not silently lost.
  const [etag, setEtag] = useState(camera.etag);
  const [said, setSaid] = useState('');
  const [problem, setProblem] = useState<ApiError | undefined>();
  const change: CameraChange = {
    ...(fps === '' || Number(fps) === camera.targetFps ? {} : { fps: Number(fps) }),
    ...(enabled === camera.enabled ? {} : { enabled }),
  };
  const changed = Object.keys(change).length > 0;

  async function save(event: Event): Promise<void> {
    event.preventDefault();
    setProblem(undefined);
    try {
      const saved = await changeCamera(camera.id, change, changed ? etag : camera.etag);
      setEtag(saved.etag);
      setSaid('Saved.');
      await onSaved();
    } catch (error) {
      setSaid('');
      setProblem(error instanceof ApiError ? error : new ApiError(0, undefined, messageOf(error)));
      if (error instanceof ApiError && error.status === 412) setEtag(camera.etag);
    }
  }

  return (
    <section class="card" aria-labelledby="settings-title">
      <h2 id="settings-title">Settings</h2>
      <form onSubmit={(event) => void save(event)}>
        <label class="field">
          Frames per second to analyse
          <input
            type="number"
            min={0.1}
            max={60}
            step="any"
            value={fps}
            onInput={(event) => setFps(event.currentTarget.value)}
          />
        </label>
        <label class="check">
          <input type="checkbox" checked={enabled} onChange={(event) => setEnabled(event.currentTarget.checked)} />
          Switched on
        </label>
        <Problem problem={problem} />
        {problem?.status === 412 ? (
          <p class="small">Somebody changed this camera meanwhile. Look at what is shown now and save again.</p>
        ) : null}
        <div class="actions">
          <span role="status">{said}</span>
          <button type="submit" class="primary" disabled={!changed}>
            Save
          </button>
        </div>
      </form>
      <CommandLine line={curlLine(location.origin, 'PATCH', cameraPath(camera.id), change, camera.etag)} />
    </section>
  );
}
