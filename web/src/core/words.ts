import { shownState } from './filter-cameras.ts';
import type { Camera } from './types.ts';

export type Tone = 'good' | 'warn' | 'bad' | 'idle';

const stateWords: Readonly<Record<string, readonly [text: string, tone: Tone]>> = {
  ONLINE: ['Online', 'good'],
  DEGRADED: ['Degraded', 'warn'],
  CONNECTING: ['Connecting', 'warn'],
  PROBING: ['Being tried', 'warn'],
  REGISTERED: ['Registered', 'idle'],
  OFFLINE: ['Offline', 'bad'],
  REJECTED: ['Not usable', 'bad'],
  ENDED: ['Ended', 'idle'],
  DISABLED: ['Switched off', 'idle'],
  UNKNOWN: ['Not known yet', 'idle'],
};

export function stateText(state: string): string {
  return stateWords[state]?.[0] ?? state;
}

export function stateTone(state: string): Tone {
  return stateWords[state]?.[1] ?? 'idle';
}

/** Why a camera is in its state, in a sentence; '' where the state says it all. */
export function reasonSentence(camera: Camera): string {
  const { reasonText, reasonCode } = camera.status;
  if (shownState(camera) === 'DISABLED') return 'Switched off; its stream is not opened.';
  if (reasonText !== '') return reasonText;
  return reasonCode === 'NONE' || reasonCode === '' || reasonCode === 'UNKNOWN' ? '' : reasonCode.toLowerCase();
}

const stepWords: Readonly<Record<string, string>> = {
  dns: 'Name and address',
  tcp: 'Connection',
  tls: 'Encryption',
  auth: 'Sign-in',
  describe: 'What the camera offers',
  setup: 'Start of the stream',
  stream: 'Pictures',
};

export function stepText(step: string): string {
  return stepWords[step] ?? step;
}

const clockWords: Readonly<Record<string, string>> = {
  RTCP_SR: 'the camera tells when each picture was taken',
  ARRIVAL: 'pictures are dated as they arrive',
  CONTAINER: 'as the file has it',
};

export function clockText(source: string | undefined): string | undefined {
  return source === undefined ? undefined : clockWords[source];
}

export function durationText(ms: number): string {
  const seconds = Math.max(0, ms) / 1000;
  if (seconds < 1) return `${Math.round(Math.max(0, ms))} ms`;
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  if (seconds < 60) return `${Math.floor(seconds)} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} min`;
  return `${Math.floor(seconds / 86_400)} d`;
}

export function fpsText(fps: number | undefined): string {
  return fps === undefined ? '–' : fps.toFixed(fps < 10 ? 1 : 0);
}

export function timeText(ms: number | undefined): string {
  return ms === undefined ? '–' : new Date(ms).toISOString().replace('T', ' ').slice(0, 19);
}

const eventWords: Readonly<Record<string, string>> = {
  'camera.online': 'Online',
  'camera.degraded': 'Degraded',
  'camera.offline': 'Offline',
  'camera.rejected': 'Not usable',
  'camera.ended': 'Ended',
  'registration.added': 'Registered',
  'registration.changed': 'Registration changed',
  'registration.removed': 'Removed',
  'model.activated': 'Model activated',
  'model.shadow': 'Model in shadow',
  'model.canary': 'Model in canary',
  'model.promoted': 'Model promoted',
  'model.rolled_back': 'Model rolled back',
  'model.gate_failed': 'Model failed its gate',
  'drift.started': 'Drift began',
  'drift.ended': 'Drift is over',
  'model.retired': 'Model retired',
};

export function eventText(kind: string): string {
  return eventWords[kind] ?? kind;
}

export function dayText(ms: number): string {
  return new Date(ms).toLocaleDateString('en', { timeZone: 'UTC', weekday: 'long', day: 'numeric', month: 'long' });
}

/** Colours of classes: the same class has the same one on every tile, and all stand out on a picture. */
const classColours = ['#4cc9ff', '#ffb347', '#7bed7b', '#ff7ab6', '#ffe45c', '#b79cff', '#ff8a66', '#5ff0d0'];

export function classColour(className: string): string {
  let hash = 0;
  for (const letter of className) hash = (hash * 31 + (letter.codePointAt(0) ?? 0)) % 9973;
  return classColours[hash % classColours.length] ?? '#4cc9ff';
}
