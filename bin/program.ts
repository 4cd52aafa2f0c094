// The command line: from arguments to a finished command and its exit code.
import { Command, CommanderError, type Option } from 'commander'
import { nearestName } from '../lib/server/nearest.ts'
import { variableOf } from '../lib/server/options.ts'
import { UsageError } from '../lib/server/usage-error.ts'
import { commands } from './commands.ts'
import { exitCode, exitCodeOf, faultLine } from './faults.ts'
import { outputs } from './print.ts'
import { version } from './version.ts'

const variablesHelp = '\nEach option can also be given in the environment: --data-dir as STRETTO_DATA_DIR.'

/** Where a command writes; the process's own streams unless a test looks on. */
export interface Streams {
  readonly out: (text: string) => void
  readonly err: (text: string) => void
}

const processStreams: Streams = {
  out: text => process.stdout.write(text),
  err: text => process.stderr.write(text)
}

/** Runs one command line, without the program's name, to its end. Faults are one line on stderr. */
export async function runProgram(args: readonly string[], streams = processStreams): Promise<number> {
  const name = args[0] ?? ''
  try {
    const program = await createProgram(streams, name === 'help' ? 'every' : name)
    if (args.length === 0) {
      program.outputHelp()
      return exitCode.usage
    }
    refuseUnknown(name)
    await program.parseAsync(args, { from: 'user' })
    return exitCode.done
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? exitCode.done : exitCode.usage
    const known = commands.some(command => command.name === name)
    const line = faultLine(error)
    if (line !== '') streams.err(`stretto${known ? ` ${name}` : ''}: ${line}\n`)
    return exitCodeOf(error)
  }
}

/** The command tree, with the options of the command named, of `every` command, or of none. */
export async function createProgram(streams: Streams, which: string): Promise<Command> {
  const program = new Command('stretto')
  program
    .description('Raft over WebSockets with its log in LevelDB: a strongly consistent key-value store')
    .version(version, '-v, --version', 'print the version')
    .helpOption('-h, --help', 'show this help')
    .helpCommand('help [command]', 'show the help of a command')
    .showSuggestionAfterError(true)
    .exitOverride()
    // What commander adds of itself (choices, variables) is said in the descriptions, or for all options at once.
    .configureHelp({ optionDescription: describeOption })
    .configureOutput({
      writeOut: streams.out,
      writeErr: streams.err,
      outputError: (text, write) => write(`stretto: ${oneLine(text)}\n`)
    })
    .addHelpText('after', "\n'stretto <command> --help' shows the options of a command.")
  for (const entry of commands) {
    // `command()` and not `addCommand()`: so it inherits the settings above.
    const command = program.command(entry.name, { hidden: entry.hidden ?? false }).description(entry.summary)
    if (which !== 'every' && which !== entry.name) continue
    const describe = await entry.load()
    describe(command)
    for (const option of command.options) readVariable(command, option)
    if (command.options.length > 0) command.addHelpText('after', variablesHelp)
  }
  return program
}

function describeOption({ description, defaultValue }: Option): string {
  const fallback: unknown = defaultValue
  return typeof fallback === 'string' ? `${description} (default: ${fallback})` : description
}

function refuseUnknown(name: string): void {
  if (name.startsWith('-') || name === 'help' || commands.some(command => command.name === name)) return
  const near = nearestName(
    name,
    commands.filter(command => !command.hidden).map(command => command.name)
  )
  const hint = near === null ? "'stretto --help' lists them" : `did you mean '${near}'?`
  throw new UsageError(`there is no command '${name}': ${hint}`)
}

/** A variable speaks to all commands: what some of them know is no fault where another one does not, and says nothing there. */
const choicesElsewhere: ReadonlyMap<string, readonly string[]> = new Map([['output', outputs]])

/** What the environment gives to an option, before the command line is read. A switch set to false there is not given. */
function readVariable(command: Command, option: Option): void {
  const variable = variableOf(option.name())
  const text = process.env[variable]
  if (text === undefined || text === '') return
  const name = option.attributeName()
  if (option.isBoolean() || option.negate) {
    if (text !== 'false' && text !== '0') command.setOptionValueWithSource(name, !option.negate, 'env')
    return
  }
  const choices = option.argChoices
  if (choices !== undefined && !choices.includes(text)) {
    if (choicesElsewhere.get(option.name())?.includes(text) === true) return
    throw new UsageError(`${variable} '${text}' is none of ${choices.join(', ')}`)
  }
  command.setOptionValueWithSource(name, text, 'env')
}

/** "error: unknown option '--x'\n(Did you mean --y?)" in one line. */
function oneLine(text: string): string {
  return text
    .trim()
    .replace(/^error: /, '')
    .replaceAll(/\s*\n\s*/g, ' ')
}
