import { listAudit, paths } from '../api/api.ts';
import { curlLine } from '../core/command-lines.ts';
import { timeText } from '../core/words.ts';
import { useLoaded } from '../state/use-loaded.ts';
import { CommandLine } from '../ui/command-line.tsx';
import { Problem } from '../ui/notice.tsx';

export function AuditPage() {
  const { value: entries, problem } = useLoaded(listAudit, 5_000);
  return (
    <>
      <header class="page-head">
        <h1>Audit</h1>
      </header>
      <p class="muted">Who changed what, and who looked at which camera. Newest first; times in UTC.</p>
      <Problem problem={problem} />
      <div class="table-scroll" tabIndex={0} role="region" aria-label="Audit entries">
        <table>
          <thead>
            <tr>
              <th scope="col">Time</th>
              <th scope="col">Who</th>
              <th scope="col">Did</th>
              <th scope="col">On</th>
              <th scope="col">Outcome</th>
            </tr>
          </thead>
          <tbody>
            {entries?.map((entry) => (
              <tr key={entry.seq}>
                <td class="mono">{timeText(entry.timeMs)}</td>
                <td>{entry.actor}</td>
                <td>{entry.action}</td>
                <td>{entry.target}</td>
                <td>{entry.outcome}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      <CommandLine line={curlLine(location.origin, 'GET', paths.audit)} />
    </>
  );
}
