// A program of another release, as a process: `stretto start` with a machine that follows the rules up to the version in argv[2].
import { parseArgs } from 'node:util'
import { keyValueMachine } from '../../lib/server/key-value.ts'
import { openLog } from '../../lib/server/log.ts'
import { readServerOptions, serverOptionTexts } from '../../lib/server/options.ts'
import { NodeServer } from '../../lib/server/server.ts'

const types = serverOptionTexts.map(
  ({ name, value }) => [name, { type: value === null ? 'boolean' : 'string' }] as const
)
const { values: flags } = parseArgs({ args: process.argv.slice(4), options: Object.fromEntries(types) })
const options = await readServerOptions({ flags, env: {}, directory: process.cwd() })
const { logger } = await openLog({ level: options.logLevel, readable: false, fd: 1 })
const server = new NodeServer(options, logger, folder => {
  const inUse = keyValueMachine(folder, options)
  Object.defineProperty(inUse.machine, 'versionMax', { value: Number(process.argv[2]) })
  return inUse
})
process.once('SIGTERM', () => void server.stop().then(() => process.exit(0)))
await server.start()
const look = setInterval(() => {
  if (!server.readiness().ready) return
  clearInterval(look)
  logger.info({ event: 'ready' }, 'ready')
}, 20)
