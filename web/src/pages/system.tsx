import { paths, readSystem } from '../api/api.ts';
import { curlLine } from '../core/command-lines.ts';
import { useLoaded } from '../state/use-loaded.ts';
import { CommandLine } from '../ui/command-line.tsx';
import { Problem } from '../ui/notice.tsx';

export function SystemPage() {
  const { value: system, problem } = useLoaded(readSystem, 3_000);
  return (
    <>
      <header class="page-head">
        <h1>System</h1>
      </header>
      <Problem problem={problem} />
      <div class="cards">
        {system?.sections.map((section) => (
          <section class="card" key={section.title} aria-label={words(section.title)}>
            <h2>{words(section.title)}</h2>
            <dl class="rows">
              {section.rows.map(([label, value]) => (
                <div key={label}>
                  <dt>{words(label)}</dt>
                  <dd>{value}</dd>
                </div>
              ))}
            </dl>
          </section>
        ))}
      </div>
      {system === undefined || system.topics.length === 0 ? null : (
        <section class="card" aria-labelledby="topics-title">
          <h2 id="topics-title">Read the results</h2>
          {system.topics.map((topic) => (
            <CommandLine key={topic.name} label={topic.name} line={topic.consumer} />
          ))}
        </section>
      )}
      <CommandLine line={curlLine(location.origin, 'GET', paths.system)} />
    </>
  );
}

/** `framesPerSecond` as people read it. */
function words(name: string): string {
  const spaced = name
    .replace(/([a-z0-9])([A-Z])/g, '$1 $2')
    .replaceAll('_', ' ')
    .toLowerCase();
  return spaced.charAt(0).toUpperCase() + spaced.slice(1);
}
