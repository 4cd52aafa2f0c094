// Nodes on this machine, each a process of its own: started together, watched, killed, restarted and stopped.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { makePeerSecret } from '../lib/server/peer-secret.ts'
import { CommandFault, exitCode } from './faults.ts'
import { launcherFile } from './launcher.ts'

export interface LocalClusterSettings {
  readonly dataDir: string
  /** Node id -> `127.0.0.1:port`, in the order of starting. */
  readonly nodes: ReadonlyMap<string, string>
  /** A line of a node's log (JSON) or of its stderr (prose). */
  readonly line: (id: string, text: string) => void
  /** A node has ended that was not told to stop. */
  readonly ended: (id: string, how: string) => void
}

interface NodeProcess {
  readonly child: ChildProcess
  readonly ready: Promise<void>
  stopping: boolean
}

const stopMsMax = 6_000

export class LocalCluster {
  readonly #settings: LocalClusterSettings
  readonly #processes = new Map<string, NodeProcess>()

  constructor(settings: LocalClusterSettings) {
    this.#settings = settings
    makePeerSecret(join(settings.dataDir, 'peer-secret'))
  }

  get endpoints(): string[] {
    return [...this.#settings.nodes.values()]
  }

  /** Process ids of the nodes that run. */
  get pids(): number[] {
    return [...this.#processes.values()].flatMap(({ child }) => (child.pid === undefined ? [] : [child.pid]))
  }

  /** Starts every node and comes back when all of them serve. */
  async start(): Promise<void> {
    await Promise.all([...this.#settings.nodes.keys()].map(id => this.startNode(id)))
  }

  /** Starts one node that does not run; comes back when it serves, or throws what it had to say at its end. */
  async startNode(id: string): Promise<void> {
    const node = this.#spawn(id)
    this.#processes.set(id, node)
    await node.ready
  }

  /** Ends a node at once, as a power cut would. The node's end is told through `ended`. */
  kill(id: string): void {
    this.#processes.get(id)?.child.kill('SIGKILL')
  }

  /** Stops all nodes, those that do not stop in time by force, and comes back when none is left. */
  async stop(): Promise<void> {
    await Promise.all([...this.#processes.values()].map(stopProcess))
  }

  /** Ends all nodes at once. */
  killAll(): void {
    for (const node of this.#processes.values()) {
      node.stopping = true
      node.child.kill('SIGKILL')
    }
  }

  #spawn(id: string): NodeProcess {
    const { dataDir, nodes, line, ended } = this.#settings
    const cluster = [...nodes].map(([name, address]) => `${name}=${address}`).join(',')
    const secret = join(dataDir, 'peer-secret')
    const child = spawn(
      process.execPath,
      // biome-ignore format: an option and its value on one line
      [
        launcherFile, 'start', '--id', id, '--listen', nodes.get(id)!, '--data-dir', join(dataDir, id),
        '--cluster', cluster, '--peer-secret-file', secret, '--ballast', '0'
      ],
      {
        // A process group of its own: Ctrl-C reaches this process alone, which then stops the nodes in good order.
        detached: true,
        stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
        env: { UV_THREADPOOL_SIZE: '8', ...process.env }
      }
    )
    let lastLine = ''
    createInterface({ input: child.stdout! }).on('line', text => line(id, text))
    createInterface({ input: child.stderr! }).on('line', text => {
      lastLine = text
      line(id, text)
    })
    const node: NodeProcess = { child, ready: readiness(child, () => lastLine, id), stopping: false }
    node.ready.catch(() => {})
    child.on('error', error => line(id, `cannot be started: ${error.message}`))
    child.on('close', (code, signal) => {
      if (this.#processes.get(id) === node) this.#processes.delete(id)
      if (!node.stopping) ended(id, signal === null ? `ended with exit code ${code}` : `was ended by ${signal}`)
    })
    return node
  }
}

function readiness(child: ChildProcess, lastLine: () => string, id: string): Promise<void> {
  return new Promise((resolve, reject) => {
    child.on('message', message => {
      if (typeof message === 'object' && 'event' in message && message.event === 'ready') resolve()
    })
    child.once('error', error => reject(new CommandFault(exitCode.failed, `${id} cannot be started: ${error.message}`)))
    child.once('close', code => {
      const said = lastLine().replace(/^stretto start: /, '') || 'it ended before it served'
      reject(new CommandFault(code === exitCode.usage ? exitCode.usage : exitCode.failed, `${id}: ${said}`))
    })
  })
}

async function stopProcess(node: NodeProcess): Promise<void> {
  node.stopping = true
  const { child } = node
  if (child.exitCode !== null || child.signalCode !== null) return
  const closed = once(child, 'close')
  child.kill('SIGTERM')
  const force = setTimeout(() => child.kill('SIGKILL'), stopMsMax)
  await closed
  clearTimeout(force)
}

/** So many ports of 127.0.0.1 on which nothing listens at this moment. */
export async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(Array.from({ length: count }, () => listen(0)))
  const ports = servers.map(portOf)
  await Promise.all(servers.map(server => new Promise(resolve => server.close(resolve))))
  return ports
}

/** True where nothing listens on this port of 127.0.0.1. */
export async function isFree(port: number): Promise<boolean> {
  try {
    const server = await listen(port)
    await new Promise(resolve => server.close(resolve))
    return true
  } catch {
    return false
  }
}

async function listen(port: number): Promise<ReturnType<typeof createServer>> {
  const server = createServer()
  server.listen(port, '127.0.0.1')
  await once(server, 'listening')
  return server
}

function portOf(server: ReturnType<typeof createServer>): number {
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('a server without a port')
  return address.port
}
