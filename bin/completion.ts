// `stretto completion SHELL`: a completion script, made from the tree of commands itself.
import { Argument, type Command } from 'commander'
import { printLine } from './print.ts'
import { createProgram } from './program.ts'

interface Words {
  readonly name: string
  readonly summary: string
  readonly flags: readonly { readonly long: string; readonly summary: string }[]
}

const scripts = { bash: bashScript, zsh: zshScript, fish: fishScript }
const shells = Object.keys(scripts)

export function completion(command: Command): void {
  command
    .addArgument(new Argument('<shell>').choices(shells))
    .addHelpText(
      'after',
      `
Once for good:
  bash  stretto completion bash > ~/.local/share/bash-completion/completions/stretto
  zsh   stretto completion zsh > "\${fpath[1]}/_stretto"
  fish  stretto completion fish > ~/.config/fish/completions/stretto.fish`
    )
    .action(async (shell: keyof typeof scripts) => printLine(scripts[shell](await gatherWords())))
}

async function gatherWords(): Promise<Words[]> {
  const program = await createProgram({ out: () => {}, err: () => {} }, 'every')
  const visible = program.createHelp().visibleCommands(program)
  return visible.map(command => ({
    name: command.name(),
    summary: command.description(),
    flags: command
      .createHelp()
      .visibleOptions(command)
      .flatMap(({ long, description }) => (long ? [{ long, summary: description }] : []))
  }))
}

function bashScript(words: readonly Words[]): string {
  const cases = words.map(({ name, flags }) => `    ${name}) words='${flags.map(flag => flag.long).join(' ')}' ;;`)
  return `# bash completion for stretto
_stretto() {
  local current="\${COMP_WORDS[COMP_CWORD]}" words
  if [ "$COMP_CWORD" -eq 1 ]; then
    COMPREPLY=($(compgen -W '${words.map(({ name }) => name).join(' ')} --help --version' -- "$current"))
    return
  fi
  case "\${COMP_WORDS[1]}" in
${cases.join('\n')}
    *) words='' ;;
  esac
  if [[ "$current" == -* ]]; then COMPREPLY=($(compgen -W "$words" -- "$current")); else COMPREPLY=($(compgen -f -- "$current")); fi
}
complete -F _stretto stretto`
}

function zshScript(words: readonly Words[]): string {
  const names = words.map(({ name, summary }) => `    ${quoted(`${name}:${summary}`)}`)
  const cases = words.map(({ name, flags }) => {
    const specs = flags.map(flag => quoted(`${flag.long}[${flag.summary.replaceAll(/[[\]]/g, '')}]`))
    return `    ${name}) _arguments ${[...specs, "'*:file:_files'"].join(' ')} ;;`
  })
  return `#compdef stretto
_stretto() {
  local -a commands
  commands=(
${names.join('\n')}
  )
  if (( CURRENT == 2 )); then
    _describe 'command' commands
    return
  fi
  local command="\${words[2]}"
  shift words
  (( CURRENT-- ))
  case "$command" in
${cases.join('\n')}
  esac
}
if [ "$funcstack[1]" = _stretto ]; then _stretto "$@"; else compdef _stretto stretto; fi`
}

function fishScript(words: readonly Words[]): string {
  const lines = words.flatMap(({ name, summary, flags }) => [
    `complete -c stretto -n __fish_use_subcommand -f -a ${name} -d ${quoted(summary)}`,
    ...flags.map(
      flag =>
        `complete -c stretto -n '__fish_seen_subcommand_from ${name}' -l ${flag.long.slice(2)} -d ${quoted(flag.summary)}`
    )
  ])
  return `# fish completion for stretto\n${lines.join('\n')}`
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`
}
