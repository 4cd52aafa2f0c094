// `stretto start`: one node in this process, until it is told to stop.
import type { Command } from 'commander'
import type { Logger } from 'pino'
import { StrettoError } from '../lib/base/errors.ts'
import { formatAddress } from '../lib/server/address.ts'
import { readServerOptions, type ServerOptions, serverOptionTexts } from '../lib/server/options.ts'
import type { Server } from '../lib/server/server.ts'
import { faultCode, faultText, UsageError } from '../lib/server/usage-error.ts'
import { CommandFault, exitCode } from './faults.ts'
import { version } from './version.ts'

const stopMsMax = 4_500
const readyPollMs = 50

export function start(command: Command): void {
  for (const { name, value, summary } of serverOptionTexts) {
    command.option(value === null ? `--${name}` : `--${name} <${value.toLowerCase()}>`, summary)
  }
  command.action(() => runStart(command))
}

async function runStart(command: Command): Promise<void> {
  process.umask(0o077)
  const flags: Record<string, string | boolean> = {}
  for (const option of command.options) {
    const name = option.attributeName()
    const value: unknown = command.getOptionValue(name)
    if (command.getOptionValueSource(name) !== 'cli') continue
    if (typeof value === 'string' || typeof value === 'boolean') flags[option.name()] = value
  }
  const read = () => readServerOptions({ flags, env: process.env, directory: process.cwd() })
  const options = await read()
  const { openLog } = await import('../lib/server/log.ts')
  const log = await openLog({ level: options.logLevel, readable: process.stdout.isTTY, fd: 1 })
  const told = stopSignal(log.logger)
  guard(log.logger)
  if (options.insecure) log.logger.warn({ event: 'insecure' }, '--insecure: traffic is not encrypted')
  try {
    const server = await startNode(options, log.logger)
    process.on('SIGHUP', () => void adjust(server, read, log.logger))
    await serve(server, options, log.logger, told)
  } finally {
    await log.close()
  }
}

/** Reads the options again, and takes over those that may change while a node runs: at SIGHUP. */
async function adjust(server: Server, read: () => Promise<ServerOptions>, log: Logger): Promise<void> {
  try {
    const options = await read()
    server.adjust(options)
    log.level = options.logLevel
    const { logBytesMax, logLevel } = options
    log.info(
      { event: 'options', logBytesMax, logLevel },
      `options read again: the log may grow to ${logBytesMax} bytes`
    )
  } catch (error) {
    log.error({ event: 'options', err: error }, `the options stay as they were: ${faultText(error)}`)
  }
}

async function startNode(options: ServerOptions, log: Logger): Promise<Server> {
  const { startServer } = await import('../lib/server/server.ts')
  try {
    return await startServer(options, log)
  } catch (error) {
    throw mendable(error, options) ?? error
  }
}

/** What the system refuses and a person can mend; null for anything else. */
function mendable(error: unknown, options: ServerOptions): UsageError | null {
  const address = formatAddress(options.listen)
  const code = faultCode(error)
  if (error instanceof StrettoError && code === 'BAD_REQUEST') return new UsageError(error.message)
  if (code === 'EADDRINUSE') {
    return new UsageError(`${address} is in use by another process: stop it, or choose another address by --listen`)
  }
  if (code === 'EADDRNOTAVAIL' || code === 'ENOTFOUND') {
    return new UsageError(`${address} is no address of this machine: choose another by --listen`)
  }
  if (code === 'EACCES' || code === 'EPERM' || code === 'EROFS' || code === 'ENOTDIR') {
    return new UsageError(`this user may not use ${address} or write to ${options.dataDir}: ${faultText(error)}`)
  }
  return null
}

/** Tells when the node serves, and comes back when it has stopped as it was told; throws where it ended by itself. */
async function serve(server: Server, options: ServerOptions, log: Logger, told: Promise<string>): Promise<void> {
  const watch = setInterval(tellReady, readyPollMs)
  const { address } = server
  let reasons = ''
  function tellReady(): void {
    const readiness = server.readiness()
    if (readiness.ready) {
      clearInterval(watch)
      const facts = { event: 'ready', id: options.id, address, version, pid: process.pid }
      log.info(facts, `${options.id} serves at ${address}, process ${process.pid}`)
      process.send?.({ event: 'ready', address })
    } else if (readiness.reasons.join('; ') !== reasons) {
      reasons = readiness.reasons.join('; ')
      log.info({ event: 'waiting', reasons: readiness.reasons }, `not ready: ${reasons}`)
    }
  }
  const why = await Promise.race([told, server.ended])
  clearInterval(watch)
  if (why instanceof Error) {
    log.fatal({ event: 'ended', err: why }, faultText(why))
    endLate(log)
    await server.stop().catch(() => {})
    throw new CommandFault(exitCode.failed, faultText(why))
  }
  log.info({ event: 'stopping', why }, `stopping: ${why}`)
  await server.stop()
  log.info({ event: 'stopped', clean: true }, 'stopped')
}

/** The reason to stop: a signal, or the end of the process that had started this one. A second signal ends at once. */
function stopSignal(log: Logger): Promise<string> {
  return new Promise(resolve => {
    let signals = 0
    const hear = (signal: NodeJS.Signals) => {
      if (++signals > 1) process.exit(signal === 'SIGINT' ? exitCode.interrupted : exitCode.failed)
      endLate(log)
      resolve(signal)
    }
    process.on('SIGINT', hear)
    process.on('SIGTERM', hear)
    process.once('disconnect', () => {
      endLate(log)
      resolve('the process that started this node is gone')
    })
  })
}

/** Ends the process when stopping takes too long: what was acknowledged is on disk, as before a crash. */
function endLate(log: Logger): void {
  const end = () => {
    log.error({ event: 'stopped', clean: false }, 'stopping took too long')
    process.exit(exitCode.failed)
  }
  setTimeout(end, stopMsMax).unref()
}

/** A bug of ours ends the process, with its trace in the log and one line on stderr; the data are as after a crash. */
function guard(log: Logger): void {
  process.on('uncaughtException', error => {
    log.fatal({ event: 'fatal', err: error }, faultText(error))
    process.stderr.write(`stretto start: a fault in stretto itself, see the log: ${faultText(error)}\n`)
    process.exit(exitCode.failed)
  })
}
