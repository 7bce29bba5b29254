import { hash } from 'node:crypto';

/** What somebody did, or tried. Never holds a secret. */
export interface AuditFact {
  readonly timeMs: number;
  /** Id and name of the token; `anonymous` where there was none, `system` for the process itself. */
  readonly actor: string;
  readonly actorName: string;
  /** For example `camera.create`, `live.view`. */
  readonly action: string;
  /** Camera, token or model that it was about; empty where it was about none. */
  readonly target: string;
  readonly outcome: 'ok' | 'refused' | 'failed';
  /** Status of the answer. */
  readonly status: number;
}

/** A fact in its place: each entry's hash covers the one before it, so that none can be changed or taken out unseen. */
export interface AuditEntry extends AuditFact {
  /** From 1 without gaps. */
  readonly seq: number;
  readonly previousHash: string;
  readonly hash: string;
}

export interface AuditLink {
  readonly seq: number;
  readonly hash: string;
}

/** What stands before the first entry. */
export const chainStart: AuditLink = { seq: 0, hash: '0'.repeat(64) };

export function linkEntry(fact: AuditFact, last: AuditLink): AuditEntry {
  const seq = last.seq + 1;
  return { ...fact, seq, previousHash: last.hash, hash: hashOf(fact, seq, last.hash) };
}

export type ChainVerdict =
  | { readonly intact: true; readonly entries: number; readonly lastHash: string }
  | { readonly intact: false; readonly seq: number; readonly reason: string };

/**
 * Whether the entries, in order, are as they were written. What it cannot see: that entries are missing at the end. Whoever needs that keeps
 * `lastHash` elsewhere from time to time and gives it as `expectedHash`.
 */
export function verifyChain(entries: Iterable<AuditEntry>, expectedHash?: string): ChainVerdict {
  let last = chainStart;
  let isExpectedSeen = expectedHash === undefined || expectedHash === chainStart.hash;
  for (const entry of entries) {
    if (entry.seq !== last.seq + 1) return broken(last.seq + 1, 'entries are missing or out of order');
    if (entry.previousHash !== last.hash) return broken(entry.seq, 'does not continue the entry before it');
    if (entry.hash !== hashOf(entry, entry.seq, last.hash))
      return broken(entry.seq, 'was changed after it was written');
    last = entry;
    isExpectedSeen ||= entry.hash === expectedHash;
  }
  if (!isExpectedSeen)
    return broken(last.seq, 'the hash that was noted is not in the log: its end was cut off or rewritten');
  return { intact: true, entries: last.seq, lastHash: last.hash };
}

function broken(seq: number, reason: string): ChainVerdict {
  return { intact: false, seq, reason };
}

function hashOf(fact: AuditFact, seq: number, previousHash: string): string {
  const { timeMs, actor, actorName, action, target, outcome, status } = fact;
  // As a JSON list: no two different entries give one text.
  const text = JSON.stringify([seq, previousHash, timeMs, actor, actorName, action, target, outcome, status]);
  return hash('sha256', text, 'hex');
}
