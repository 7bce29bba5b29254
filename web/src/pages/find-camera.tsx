import { useState } from 'preact/hooks';
import { discover, listTemplates, readProfiles, type Device, type Profile } from '../api/find-cameras.ts';
import { urlOfMake } from '../core/stream-url.ts';
import { useAttempt } from '../state/use-attempt.ts';
import { useLoaded } from '../state/use-loaded.ts';
import { CommandLine } from '../ui/command-line.tsx';
import { Field } from '../ui/field.tsx';
import { Problem } from '../ui/notice.tsx';

interface FindCameraProps {
  /** What a camera is asked for its streams with. */
  readonly user: string;
  readonly password: string;
  readonly onUrl: (url: string) => void;
}

/** For whoever knows a camera and not the address of its stream: by its make, or by what the network answers. */
export function FindCamera({ user, password, onUrl }: FindCameraProps) {
  const { value: templates } = useLoaded(listTemplates, undefined);
  const [host, setHost] = useState('');
  const [make, setMake] = useState('');
  const [channel, setChannel] = useState(1);
  const [devices, setDevices] = useState<readonly Device[] | undefined>();
  const [profiles, setProfiles] = useState<readonly Profile[] | undefined>();
  const { busy, problem, attempt } = useAttempt<'searching' | 'asking'>();
  const chosen = templates?.find((one) => one.make === make);
  const device = devices?.find(({ address }) => address === host);

  return (
    <details class="find">
      <summary>Find the address: by make, or in the network</summary>
      <div class="actions start">
        <button
          type="button"
          disabled={busy !== ''}
          onClick={() => void attempt('searching', async () => setDevices(await discover()))}
        >
          {busy === 'searching' ? 'Asking…' : 'Search the network'}
        </button>
      </div>
      <div role="status">
        {devices?.length === 0 ? (
          <p class="muted">No ONVIF camera answered. It may be switched off at them, or they are in another network.</p>
        ) : null}
      </div>
      {devices === undefined || devices.length === 0 ? null : (
        <label class="field">
          Found
          <select
            value={host}
            onChange={(event) => {
              setHost(event.currentTarget.value);
              setProfiles(undefined);
            }}
          >
            <option value="">Choose one</option>
            {devices.map(({ address, name, hardware }) => (
              <option key={address} value={address}>
                {[address, name, hardware].filter(Boolean).join(' · ')}
              </option>
            ))}
          </select>
        </label>
      )}
      <div class="find-row">
        <Field label="Address of the camera" value={host} onValue={setHost} placeholder="10.0.0.5" />
      </div>
      <div class="find-row">
        <label class="field">
          Make
          <select value={make} onChange={(event) => setMake(event.currentTarget.value)}>
            <option value="">Not known</option>
            {templates?.map((one) => (
              <option key={one.make} value={one.make}>
                {one.name}
              </option>
            ))}
          </select>
        </label>
        {chosen?.main.includes('{channel') === true ? (
          <Field
            label="Channel"
            type="number"
            value={String(channel)}
            onValue={(text) => setChannel(Math.max(1, Number(text) || 1))}
          />
        ) : null}
      </div>
      {chosen === undefined ? null : <p class="muted small">{chosen.note}</p>}
      <div class="actions start">
        {chosen === undefined ? (
          <button
            type="button"
            disabled={busy !== '' || host === ''}
            onClick={() =>
              void attempt('asking', async () =>
                setProfiles(
                  await readProfiles({
                    host,
                    ...(device === undefined ? {} : { port: device.port, path: device.path }),
                    ...(user === '' ? {} : { user }),
                    ...(password === '' ? {} : { password }),
                  }),
                ),
              )
            }
          >
            Ask it for its streams
          </button>
        ) : (
          <>
            <button type="button" disabled={host === ''} onClick={() => onUrl(urlOfMake(host, chosen.main, channel))}>
              Take the full picture
            </button>
            {chosen.sub === null ? null : (
              <button
                type="button"
                disabled={host === ''}
                onClick={() => onUrl(urlOfMake(host, chosen.sub ?? '', channel))}
              >
                Take the smaller picture
              </button>
            )}
          </>
        )}
      </div>
      {chosen === undefined ? (
        <p class="muted small">It is asked with the user and the password that stand below.</p>
      ) : null}
      <Problem problem={problem} />
      {chosen === undefined && profiles !== undefined ? (
        <ul class="found-streams">
          {profiles.map((profile) => (
            <li key={profile.token}>
              <button type="button" onClick={() => onUrl(profile.url)}>
                Take {profile.name}
              </button>{' '}
              <span class="muted">
                {[
                  profile.codec,
                  `${profile.width_px ?? '?'} × ${profile.height_px ?? '?'}`,
                  `${profile.fps ?? '?'} fps`,
                ].join(' · ')}
              </span>
            </li>
          ))}
        </ul>
      ) : null}
      <CommandLine line={host === '' ? 'sightline camera discover' : `sightline camera discover ${host}`} />
    </details>
  );
}
