import { stateText, stateTone } from '../core/words.ts';

export function StateBadge({ state }: { readonly state: string }) {
  return (
    <span class={`badge badge-${stateTone(state)}`}>
      <span class="dot" aria-hidden="true" />
      {stateText(state)}
    </span>
  );
}
