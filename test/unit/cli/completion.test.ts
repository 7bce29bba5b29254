import { spawnSync } from 'node:child_process';
import { expect, test } from 'vitest';
import { completionScript, shells, type CommandNode } from '../../../cli/completion/completion-script.ts';

const leaf = { options: [], choices: [], commands: [] } as const;
const filter = { names: ['--filter'], description: "without 'change'", takesValue: true, choices: ['off', 'auto'] };
const url = { names: ['--url'], description: 'where', takesValue: true, choices: [] };
const program: CommandNode = {
  ...{ name: 'sightline', description: '', options: [], choices: [] },
  commands: [
    {
      ...{ name: 'camera', description: 'cameras', options: [], choices: [] },
      commands: [
        { ...leaf, name: 'add', description: "a camera's start", options: [filter, url] },
        { ...leaf, name: 'audit', description: '' },
      ],
    },
    { ...leaf, name: 'completion', description: '', choices: ['bash', 'zsh'] },
  ],
};

/** What bash would offer for the last word of each of the lines. One bash for all: starting one is most of the time. */
function offered(lines: readonly (readonly string[])[]): string[][] {
  const cases = lines.map((words) => {
    const quoted = words.map((word) => `'${word}'`).join(' ');
    return `COMP_WORDS=(sightline ${quoted}); COMP_CWORD=${words.length}; _sightline; echo "\${COMPREPLY[*]}"`;
  });
  const script = `${completionScript('bash', program)}\n${cases.join('\n')}`;
  const { stdout, stderr } = spawnSync('bash', ['-c', script], { encoding: 'utf8' });
  expect(stderr).toBe('');
  return stdout
    .split('\n')
    .slice(0, -1)
    .map((line) => line.split(' ').filter((word) => word !== ''));
}

test('bash completes commands, options and their values, and takes no value for a command', () => {
  const cases: readonly (readonly [words: readonly string[], offers: readonly string[]])[] = [
    [[''], ['camera', 'completion', '--help']],
    [
      ['camera', 'a'],
      ['add', 'audit'],
    ],
    [
      ['camera', 'add', '--'],
      ['--filter', '--url', '--help'],
    ],
    [
      ['camera', 'add', '--filter', ''],
      ['off', 'auto'],
    ],
    [['camera', 'add', '--url', 'audit', '--f'], ['--filter']],
    [['camera', 'add', '--url', ''], []],
    [['completion', 'b'], ['bash']],
  ];
  expect(offered(cases.map(([words]) => words))).toEqual(cases.map(([, offers]) => offers));
}, 30_000);

test.each(shells)(
  'the script for %s is read by that shell where it is here',
  (shell) => {
    const { error, status, stderr } = spawnSync(shell, ['-n'], {
      input: completionScript(shell, program),
      encoding: 'utf8',
    });
    if (error === undefined) expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  },
  30_000,
);
