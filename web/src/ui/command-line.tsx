import { useState } from 'preact/hooks';

/** The same thing for a shell: shown where an action stands, copied with one press. */
export function CommandLine({
  line,
  label = 'The same in a shell',
}: {
  readonly line: string;
  readonly label?: string;
}) {
  const [said, setSaid] = useState('');
  async function copy(): Promise<void> {
    try {
      await navigator.clipboard.writeText(line);
      setSaid('Copied');
    } catch {
      setSaid('Mark the line and copy it by hand');
    }
    window.setTimeout(() => setSaid(''), 2500);
  }
  return (
    <details class="command">
      <summary>{label}</summary>
      <div class="command-line">
        {/* It scrolls when it is long, so the keyboard has to reach it. */}
        <code tabIndex={0}>{line}</code>
        <button type="button" class="quiet" onClick={() => void copy()}>
          Copy
        </button>
      </div>
      <span role="status" class="small">
        {said}
      </span>
    </details>
  );
}
