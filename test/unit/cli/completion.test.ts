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

/** What bash would offer for the last of the words. */
function offered(...words: readonly string[]): string[] {
  const script = `${completionScript('bash', program)}
COMP_WORDS=(sightline ${words.map((word) => `'${word}'`).join(' ')}); COMP_CWORD=${words.length}; _sightline; printf '%s\\n' "\${COMPREPLY[@]}"`;
  const { stdout, stderr } = spawnSync('bash', ['-c', script], { encoding: 'utf8' });
  expect(stderr).toBe('');
  return stdout.split('\n').filter((line) => line !== '');
}

test('bash completes commands, options and their values, and takes no value for a command', () => {
  expect(offered('')).toEqual(['camera', 'completion', '--help']);
  expect(offered('camera', 'a')).toEqual(['add', 'audit']);
  expect(offered('camera', 'add', '--')).toEqual(['--filter', '--url', '--help']);
  expect(offered('camera', 'add', '--filter', '')).toEqual(['off', 'auto']);
  expect(offered('camera', 'add', '--url', 'audit', '--f')).toEqual(['--filter']);
  expect(offered('camera', 'add', '--url', '')).toEqual([]);
  expect(offered('completion', 'b')).toEqual(['bash']);
});

test.each(shells)('the script for %s is read by that shell where it is here', (shell) => {
  const { error, status, stderr } = spawnSync(shell, ['-n'], {
    input: completionScript(shell, program),
    encoding: 'utf8',
  });
  if (error === undefined) expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
});
