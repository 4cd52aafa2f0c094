// `stretto cluster`: a cluster on this machine for as long as the command runs, with data that stay.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import type { Command } from 'commander'
import { UsageError } from '../lib/server/usage-error.ts'
import { parseCount } from './client-options.ts'
import { CommandFault, exitCode } from './faults.ts'
import { isFree, LocalCluster } from './local-cluster.ts'
import { readableLine } from './log-line.ts'
import { printLine, styled } from './print.ts'

interface ClusterOptions {
  readonly nodes?: string
  readonly basePort?: string
  readonly dataDir: string
  readonly restart?: boolean
}

interface Shape {
  readonly nodes: number
  readonly basePort: number
}

const nodesMax = 9
const restartAfterMs = 1_000
const colours = ['cyan', 'magenta', 'yellow', 'green', 'blue', 'red'] as const

export function cluster(command: Command): void {
  command
    .option('--nodes <n>', 'how many nodes (default: 3, or as many as the data have)')
    .option('--base-port <port>', 'port of the first node (default: 7001, or as before)')
    .option('--data-dir <dir>', 'where the data live', 'stretto-data')
    .option('--restart', 'start a node again that has ended')
    .action(runCluster)
}

async function runCluster(options: ClusterOptions): Promise<void> {
  const dataDir = resolve(options.dataDir)
  const shape = readShape(dataDir, options)
  const nodes = new Map(
    Array.from({ length: shape.nodes }, (_, at) => [`n${at + 1}`, `127.0.0.1:${shape.basePort + at}`] as const)
  )
  for (const address of nodes.values()) await refuseTaken(Number(address.split(':')[1]))
  writeShape(dataDir, shape)

  const running = new RunningCluster(dataDir, nodes, options.restart ?? false)
  const stopped = stopSignal()
  await Promise.race([running.start(), stopped])
  const signal = await Promise.race([stopped, running.allGone])
  await running.stop()
  if (signal === null) throw new CommandFault(exitCode.failed, 'no node is left')
}

/** Nodes, their log lines on the terminal, and what happens when one ends. */
class RunningCluster {
  readonly allGone: Promise<null>
  readonly #nodes: ReadonlyMap<string, string>
  readonly #dataDir: string
  readonly #restart: boolean
  readonly #cluster: LocalCluster
  #serving = false
  #stopping = false
  #left: number
  #gone: () => void = () => {}

  constructor(dataDir: string, nodes: ReadonlyMap<string, string>, restart: boolean) {
    this.#nodes = nodes
    this.#dataDir = dataDir
    this.#restart = restart
    this.#left = nodes.size
    this.allGone = new Promise(resolve => {
      this.#gone = () => resolve(null)
    })
    this.#cluster = new LocalCluster({
      dataDir,
      nodes,
      line: (id, text) => this.#print(id, readableLine(text)),
      ended: (id, how) => this.#ended(id, how)
    })
  }

  async start(): Promise<void> {
    try {
      await this.#cluster.start()
    } catch (error) {
      await this.stop()
      throw error
    }
    if (this.#stopping) return
    this.#serving = true
    printLine(welcome(this.#nodes, this.#dataDir))
  }

  async stop(): Promise<void> {
    this.#stopping = true
    await this.#cluster.stop()
  }

  #print(id: string, text: string): void {
    const at = [...this.#nodes.keys()].indexOf(id)
    printLine(`${styled(colours[at % colours.length]!, id)} | ${text}`)
  }

  #ended(id: string, how: string): void {
    if (this.#stopping || !this.#serving) return
    this.#left--
    const quorum = Math.floor(this.#nodes.size / 2) + 1
    const state = this.#left >= quorum ? 'the cluster goes on' : 'too few for a majority, nothing can be written'
    this.#print(id, styled('bold', `${how}; ${this.#left} of ${this.#nodes.size} nodes are left: ${state}`))
    if (this.#restart) setTimeout(() => this.#startAgain(id), restartAfterMs)
    else if (this.#left === 0) this.#gone()
  }

  #startAgain(id: string): void {
    if (this.#stopping) return
    this.#print(id, 'starting again')
    this.#left++
    this.#cluster.startNode(id).catch(() => {}) // its end is told by `ended`, and its own last line says why
  }
}

/** The shape asked for, or the one that the data have; where both are known they must agree. */
function readShape(dataDir: string, options: ClusterOptions): Shape {
  const asked = {
    nodes: options.nodes === undefined ? undefined : parseCount('--nodes', options.nodes, 1),
    basePort: options.basePort === undefined ? undefined : parseCount('--base-port', options.basePort, 1)
  }
  const found = findShape(dataDir)
  if (found === null && existsSync(join(dataDir, 'n1'))) {
    throw new UsageError(`${dataDir} holds a node that was started by itself: choose another directory by --data-dir`)
  }
  const shape = { nodes: asked.nodes ?? found?.nodes ?? 3, basePort: asked.basePort ?? found?.basePort ?? 7_001 }
  if (shape.nodes > nodesMax)
    throw new UsageError(`--nodes ${shape.nodes} is too many for one machine: at most ${nodesMax}`)
  if (shape.basePort + shape.nodes > 65_536)
    throw new UsageError(`--base-port ${shape.basePort} leaves too few ports above it`)
  if (found !== null && (found.nodes !== shape.nodes || found.basePort !== shape.basePort)) {
    const held = `a cluster of ${found.nodes} nodes from port ${found.basePort}`
    throw new UsageError(`${dataDir} holds ${held}: leave --nodes and --base-port out, or choose another --data-dir`)
  }
  return shape
}

function findShape(dataDir: string): Shape | null {
  const file = join(dataDir, 'cluster.json')
  if (!existsSync(file)) return null
  try {
    const value: unknown = JSON.parse(readFileSync(file, 'utf8'))
    if (isShape(value)) return value
  } catch {
    // told below, as for a file with other content
  }
  throw new UsageError(`${file} is damaged: remove it, and give --nodes and --base-port as they were`)
}

function isShape(value: unknown): value is Shape {
  if (typeof value !== 'object' || value === null || !('nodes' in value) || !('basePort' in value)) return false
  return Number.isSafeInteger(value.nodes) && Number.isSafeInteger(value.basePort)
}

function writeShape(dataDir: string, shape: Shape): void {
  mkdirSync(dataDir, { recursive: true, mode: 0o700 })
  writeFileSync(join(dataDir, 'cluster.json'), `${JSON.stringify(shape)}\n`)
}

async function refuseTaken(port: number): Promise<void> {
  if (await isFree(port)) return
  throw new UsageError(`port ${port} is in use by another process: stop it, or choose other ports by --base-port`)
}

/** The first signal; at the second this process ends at once, and the nodes stop by themselves. */
function stopSignal(): Promise<NodeJS.Signals> {
  return new Promise(resolve => {
    let signals = 0
    const hear = (signal: NodeJS.Signals) => {
      if (++signals > 1) process.exit(signal === 'SIGINT' ? exitCode.interrupted : exitCode.failed)
      printLine('stopping')
      resolve(signal)
    }
    process.on('SIGINT', hear)
    process.on('SIGTERM', hear)
  })
}

function welcome(nodes: ReadonlyMap<string, string>, dataDir: string): string {
  const endpoints = [...nodes.values()]
  const usual = endpoints[0] === '127.0.0.1:7001'
  const where = usual ? '' : ` --endpoints ${endpoints.join(',')}`
  return `
${styled('bold', `A cluster of ${nodes.size} ${nodes.size === 1 ? 'node' : 'nodes'} serves.`)}

  endpoints    ${endpoints.join(',')}
  status page  http://${endpoints[0]}/
  data         ${dataDir}

Try in another terminal:

  npx stretto put greeting hello${where}
  npx stretto get greeting${where}
  npx stretto status${where}

Ctrl-C stops the cluster; started again, it finds its data.
`
}
