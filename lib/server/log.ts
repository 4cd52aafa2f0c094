// The node's log: JSON lines into a file or a pipe, readable lines on a terminal.
import { type Logger, pino } from 'pino'
import type { LogLevel } from './options.ts'

export interface LogSettings {
  readonly level: LogLevel
  /** Readable lines with colours instead of JSON. */
  readonly readable: boolean
  /** File descriptor to write to. */
  readonly fd: number
}

export interface OpenLog {
  readonly logger: Logger
  /** Comes back when every line has been handed to the system; nothing may be logged afterwards. */
  close(): Promise<void>
}

/** A log whose writes never block a turn and never end the process: a full disk costs lines, not the node. */
export async function openLog({ level, readable, fd }: LogSettings): Promise<OpenLog> {
  const settings = {
    level,
    base: null,
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label: string) => ({ level: label }) }
  }
  if (readable) {
    const { default: pretty } = await import('pino-pretty')
    const stream = pretty({
      destination: fd,
      sync: true,
      translateTime: 'SYS:HH:MM:ss',
      include: 'level,time,err',
      messageFormat: readableMessage
    })
    return { logger: pino(settings, stream), close: async () => {} }
  }
  const destination = pino.destination({ dest: fd, sync: false })
  destination.on('error', () => {})
  const close = () =>
    new Promise<void>(resolve => {
      destination.once('close', resolve)
      destination.once('error', () => resolve())
      destination.end()
    })
  return { logger: pino(settings, destination), close }
}

function readableMessage(line: Readonly<Record<string, unknown>>, messageKey: string): string {
  const text = line[messageKey] ?? line['event']
  return typeof text === 'string' ? text : ''
}
