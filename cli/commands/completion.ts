import { Argument, type Command } from 'commander';
import { completionScript, shells, type CommandNode, type Shell } from '../completion/completion-script.ts';

const help = `
  bash   source <(sightline completion bash)                       in ~/.bashrc
  zsh    source <(sightline completion zsh)                        in ~/.zshrc, after compinit
  fish   sightline completion fish > ~/.config/fish/completions/sightline.fish
`;

/** `sightline completion bash|zsh|fish`; `declareAll` gives the program with every command of it declared in full. */
export function registerCompletionCommand(program: Command, declareAll: () => Promise<Command>): void {
  program
    .command('completion')
    .description('print a script that completes commands and options in a shell')
    .addArgument(new Argument('<shell>', 'whose script').choices(shells))
    .addHelpText('after', help)
    .action(async (shell: Shell) => {
      process.stdout.write(completionScript(shell, nodeOf(await declareAll())));
    });
}

/** The part of a command that a completion needs. */
function nodeOf(command: Command): CommandNode {
  return {
    name: command.name(),
    description: command.description(),
    options: command.options
      .filter(({ hidden }) => !hidden)
      .map(({ long, short, description, argChoices, required, optional }) => ({
        names: [long, short].filter((name) => name != null),
        description,
        takesValue: required || optional,
        choices: argChoices ?? [],
      })),
    choices: command.registeredArguments.flatMap(({ argChoices }) => argChoices ?? []),
    commands: command.commands.map(nodeOf),
  };
}
