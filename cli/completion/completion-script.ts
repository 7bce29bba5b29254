export interface OptionNode {
  readonly names: readonly string[];
  readonly description: string;
  readonly takesValue: boolean;
  /** Empty: any value. */
  readonly choices: readonly string[];
}

export interface CommandNode {
  readonly name: string;
  readonly description: string;
  readonly options: readonly OptionNode[];
  /** Of its arguments. */
  readonly choices: readonly string[];
  readonly commands: readonly CommandNode[];
}

export const shells = ['bash', 'zsh', 'fish'] as const;
export type Shell = (typeof shells)[number];

/** Where a command stands, for example `camera add`; empty for the program itself. */
interface Place {
  readonly path: string;
  readonly node: CommandNode;
}

/** A script for a shell, with everything that it offers written in it: completing starts no program of ours. */
export function completionScript(shell: Shell, program: CommandNode): string {
  const places = placesOf(program, '');
  switch (shell) {
    case 'bash':
      return bashScript(places);
    case 'zsh':
      return zshScript(places);
    case 'fish':
      return fishScript(places);
  }
}

function placesOf(node: CommandNode, path: string): readonly Place[] {
  const inner = node.commands.flatMap((command) => placesOf(command, `${path} ${command.name}`.trim()));
  return [{ path, node }, ...inner];
}

function wordsOf({ commands, options, choices }: CommandNode): readonly string[] {
  return [...commands.map(({ name }) => name), ...choices, ...options.flatMap(({ names }) => names), '--help'];
}

/** Options with a fixed set of values, each once: the same name has the same values wherever it stands. */
function choicesOf(places: readonly Place[]): ReadonlyMap<string, readonly string[]> {
  const all = places.flatMap(({ node }) => node.options).filter(({ choices }) => choices.length > 0);
  return new Map(all.flatMap(({ names, choices }) => names.map((name) => [name, choices])));
}

/** Options after which a word is their value, and no command. */
function valueOptions(places: readonly Place[]): readonly string[] {
  const all = places.flatMap(({ node }) => node.options).filter(({ takesValue }) => takesValue);
  return [...new Set(all.flatMap(({ names }) => names))];
}

/** Finds where the words before the cursor lead; bash and zsh read it alike. */
function findPath(places: readonly Place[], words: string, firstWord: number, lastWord: string): string {
  const known = places.filter(({ path }) => path !== '').map(({ path }) => `'${path}'`);
  return `  local at= word= previous= i
  for ((i = ${firstWord}; i < ${lastWord}; i++)); do
    word="\${${words}[i]}"
    case "$previous" in ${valueOptions(places).join('|')}) previous=; continue;; esac
    previous="$word"
    case "\${at:+$at }$word" in ${known.join('|')}) at="\${at:+$at }$word";; esac
  done`;
}

function bashScript(places: readonly Place[]): string {
  const offers = places.map(({ path, node }) => `    '${path}') offers='${wordsOf(node).join(' ')}';;`);
  const values = [...choicesOf(places)].map(([name, choices]) => `    ${name}) offers='${choices.join(' ')}';;`);
  return `# sightline: completion for bash
_sightline() {
  local current="\${COMP_WORDS[COMP_CWORD]}" offers=
${findPath(places, 'COMP_WORDS', 1, 'COMP_CWORD')}
  case "$at" in
${offers.join('\n')}
  esac
  case "$previous" in
${values.join('\n')}
    ${valueOptions(places).join('|')}) offers=;;
  esac
  COMPREPLY=($(compgen -W "$offers" -- "$current"))
}
complete -o default -F _sightline sightline
`;
}

function zshScript(places: readonly Place[]): string {
  const offers = places.map(({ path, node }) => `    '${path}') offers=(${wordsOf(node).join(' ')});;`);
  const values = [...choicesOf(places)].map(([name, choices]) => `    ${name}) offers=(${choices.join(' ')});;`);
  return `#compdef sightline
# sightline: completion for zsh
_sightline() {
  local -a offers
${findPath(places, 'words', 2, 'CURRENT')}
  case "$at" in
${offers.join('\n')}
  esac
  case "$previous" in
${values.join('\n')}
    ${valueOptions(places).join('|')}) offers=();;
  esac
  if ((\${#offers})); then compadd -- $offers; fi
  _files
}
compdef _sightline sightline
`;
}

function fishScript(places: readonly Place[]): string {
  const known = places.filter(({ path }) => path !== '').map(({ path }) => `'${path}'`);
  const lines = places.flatMap(({ path, node }) => {
    const where = `complete -c sightline -n '__sightline_at "${path}"'`;
    return [
      ...node.commands.map(({ name, description }) => `${where} -a ${name} -d ${quoted(description)}`),
      ...node.choices.map((choice) => `${where} -a ${choice}`),
      ...node.options.map(({ names, description, takesValue, choices }) => {
        const flags = names.map((name) => (name.startsWith('--') ? `-l ${name.slice(2)}` : `-s ${name.slice(1)}`));
        const value = choices.length > 0 ? ` -x -a '${choices.join(' ')}'` : takesValue ? ' -r' : '';
        return `${where} ${flags.join(' ')}${value} -d ${quoted(description)}`;
      }),
    ];
  });
  return `# sightline: completion for fish
function __sightline_at
    set -l at
    set -l previous
    for word in (commandline -opc)[2..-1]
        if contains -- "$previous" ${valueOptions(places).join(' ')}
            set previous
            continue
        end
        set previous $word
        contains -- (string join ' ' $at $word) ${known.join(' ')}; and set -a at $word
    end
    test "$at" = "$argv[1]"
end
${lines.join('\n')}
`;
}

function quoted(text: string): string {
  return `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;
}
