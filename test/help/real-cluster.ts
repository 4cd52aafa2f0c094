// A cluster of real processes: started from the sources, watched through their logs, killed, paused, and never left behind.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { rmSync } from 'node:fs'
import { request } from 'node:http'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import type { Test } from 'tap'
import { launcherFile } from '../../bin/launcher.ts'
import { freePorts } from '../../bin/local-cluster.ts'
import { type Client, connect } from '../../lib/client/client.ts'
import { makePeerSecret } from '../../lib/server/peer-secret.ts'
import type { NodeStatus } from '../../lib/server/status.ts'
import { connectOnly } from './pinned.ts'

/** A line of a node's log. */
export interface Line {
  readonly level: string
  readonly event: string
  readonly msg: string
  readonly [name: string]: unknown
}

export interface Ended {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
}

const living = new Set<ChildProcess>()
// A process that is paused hears nothing but this signal, and would outlive the test.
process.on('exit', () => {
  for (const child of living) child.kill('SIGKILL')
})

/** What is run for `stretto start`: arguments of Node before its own. */
export type Program = readonly string[]

export const thisProgram: Program = [launcherFile]

/** One that can run machine versions up to this one. */
export function programOf(machineVersion: number): Program {
  return ['--import=tsx', fileURLToPath(new URL('versioned-program.ts', import.meta.url)), String(machineVersion)]
}

/** One process that runs `stretto start`, from its start to its end. */
export class NodeProcess {
  readonly lines: Line[] = []
  err = ''
  readonly ended: Promise<Ended>
  readonly #child: ChildProcess
  readonly #watchers = new Set<() => void>()
  #hasEnded = false

  constructor(args: readonly string[], program = thisProgram) {
    const child = spawn(process.execPath, [...program, 'start', ...args], {
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
      env: { ...process.env, NO_COLOR: '1' }
    })
    this.#child = child
    living.add(child)
    createInterface({ input: child.stdout! }).on('line', text => {
      this.lines.push(JSON.parse(text) as Line)
      this.#tell()
    })
    child.stderr!.setEncoding('utf8').on('data', (text: string) => {
      this.err += text
    })
    this.ended = once(child, 'close').then(([code, signal]: (number | string | null)[]) => {
      living.delete(child)
      this.#hasEnded = true
      this.#tell()
      return { code, signal } as Ended
    })
  }

  get pid(): number {
    return this.#child.pid!
  }

  get hasEnded(): boolean {
    return this.#hasEnded
  }

  /** The first line from the `from`th on that fits, when it has come. Rejects where the process ends without it. */
  line(fits: (line: Line) => boolean, from = 0): Promise<Line> {
    return new Promise((resolve, reject) => {
      let next = from
      const look = (): void => {
        const found = this.lines.slice(next).find(fits)
        next = this.lines.length
        if (found === undefined && !this.#hasEnded) return
        this.#watchers.delete(look)
        if (found !== undefined) resolve(found)
        else reject(new Error(`the node ended without the line: ${this.err}${JSON.stringify(this.lines.slice(-3))}`))
      }
      this.#watchers.add(look)
      look()
    })
  }

  /** Serves linearizable reads, by its own word. */
  ready(): Promise<Line> {
    return this.line(({ event }) => event === 'ready')
  }

  signal(name: NodeJS.Signals): void {
    this.#child.kill(name)
  }

  /** Ends it at once, and comes back when it is gone. */
  kill(): Promise<Ended> {
    this.signal('SIGKILL')
    return this.ended
  }

  stop(): Promise<Ended> {
    this.signal('SIGTERM')
    return this.ended
  }

  #tell(): void {
    for (const watcher of this.#watchers) watcher()
  }
}

export interface NodeSettings {
  readonly args?: readonly string[]
  readonly program?: Program | undefined
}

export interface RealClusterSettings {
  readonly size?: number
  /** Where the data of a node live, when not beside those of the others. */
  readonly dataDirs?: Readonly<Record<string, string>>
  /** Of each node. */
  readonly args?: readonly string[]
  /** Of a node that does not run this one at first. */
  readonly programs?: Readonly<Record<string, Program>>
}

export class RealCluster {
  readonly directory: string
  readonly addresses: ReadonlyMap<string, string>
  readonly secretFile: string
  readonly #dataDirs: Readonly<Record<string, string>>
  readonly #processes = new Map<string, NodeProcess>()
  readonly #clients: Client<string>[] = []

  private constructor(directory: string, ports: readonly number[], dataDirs: Readonly<Record<string, string>>) {
    this.directory = directory
    this.addresses = new Map(ports.map((port, at) => [`n${at + 1}`, `127.0.0.1:${port}`]))
    this.secretFile = join(directory, 'peer-secret')
    this.#dataDirs = dataDirs
    makePeerSecret(this.secretFile)
  }

  /** Starts all nodes, n1 to the last, and comes back when each serves. They end with the test. */
  static async start(t: Test, { size = 3, dataDirs = {}, ...first }: RealClusterSettings = {}): Promise<RealCluster> {
    const cluster = new RealCluster(t.testdir({}), await freePorts(size), dataDirs)
    t.teardown(() => cluster.#end())
    await cluster.startAll(first)
    return cluster
  }

  get ids(): string[] {
    return [...this.addresses.keys()]
  }

  get endpoints(): string[] {
    return [...this.addresses.values()]
  }

  /** The processes that have not ended. */
  get running(): string[] {
    return this.ids.filter(id => this.#processes.get(id)?.hasEnded === false)
  }

  address(id: string): string {
    return this.addresses.get(id)!
  }

  dataDir(id: string): string {
    return this.#dataDirs[id] ?? join(this.directory, id)
  }

  /** The latest process of this node. */
  node(id: string): NodeProcess {
    return this.#processes.get(id)!
  }

  args(id: string): string[] {
    const list = [...this.addresses].map(([name, address]) => `${name}=${address}`).join(',')
    const plain = ['--cluster', list, '--peer-secret-file', this.secretFile, '--ballast', '0']
    return ['--id', id, '--data-dir', this.dataDir(id), ...plain]
  }

  /** Does not wait for anything. Of arguments given twice the later counts. */
  start(id: string, { args = [], program }: NodeSettings = {}): NodeProcess {
    const node = new NodeProcess([...this.args(id), ...args], program)
    this.#processes.set(id, node)
    return node
  }

  async startAll({ args = [], programs = {} }: RealClusterSettings = {}): Promise<void> {
    await Promise.all(this.ids.map(id => this.start(id, { args, program: programs[id] }).ready()))
  }

  async killAll(): Promise<void> {
    await Promise.all(this.running.map(id => this.node(id).kill()))
  }

  /** A client as users have it, which ends with the test. */
  client(): Client<string> {
    return this.#kept(connect(this.endpoints))
  }

  /** A client that speaks to this node alone. */
  clientOf(id: string): Client<string> {
    return this.#kept(connectOnly(this.address(id)))
  }

  status(id: string): Promise<NodeStatus> {
    return statusAt(this.address(id))
  }

  /** The node that has last won an election of a term above this one, among those that run. Comes when there is one. */
  async leader(aboveTerm = 0): Promise<Leader> {
    for (;;) {
      const nodes = this.running.map(id => ({ id, node: this.node(id) }))
      const leaders = nodes.map(({ id, node }) => ({ id, term: termLed(node) })).toSorted((a, b) => b.term - a.term)
      if (leaders[0] !== undefined && leaders[0].term > aboveTerm) return leaders[0]
      await Promise.any(nodes.map(({ node }) => node.line(isRole, node.lines.length)))
    }
  }

  async followers(): Promise<string[]> {
    const { id: leader } = await this.leader()
    return this.running.filter(id => id !== leader)
  }

  /** How many elections the present processes have won together. */
  get elections(): number {
    return this.ids.reduce((sum, id) => sum + this.node(id).lines.filter(isWin).length, 0)
  }

  #kept(client: Client<string>): Client<string> {
    this.#clients.push(client)
    return client
  }

  async #end(): Promise<void> {
    for (const client of this.#clients) void client.close()
    await this.killAll()
    for (const id of this.ids) rmSync(this.dataDir(id), { recursive: true, force: true })
  }
}

export interface Leader {
  readonly id: string
  readonly term: number
}

function isRole({ event }: Line): boolean {
  return event === 'role'
}

function isWin({ event, role }: Line): boolean {
  return event === 'role' && role === 'leader'
}

/** The term in which this process leads as far as it knows, 0 where it does not. */
function termLed({ lines }: NodeProcess): number {
  const last = lines.findLast(isRole)
  return last !== undefined && isWin(last) ? Number(last['term']) : 0
}

export interface HttpAnswer {
  readonly status: number
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  readonly text: string
}

export interface HttpAsk {
  readonly method?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string
}

/** One plain HTTP request on a connection of its own. */
export function ask(address: string, path: string, { method = 'GET', headers = {}, body }: HttpAsk = {}) {
  return new Promise<HttpAnswer>((resolve, reject) => {
    const asked = request(`http://${address}${path}`, { method, headers, agent: false }, response => {
      let text = ''
      response.setEncoding('utf8').on('data', (part: string) => {
        text += part
      })
      response.on('error', reject)
      response.on('end', () => resolve({ status: response.statusCode!, headers: response.headers, text }))
    })
    asked.on('error', reject)
    asked.end(body)
  })
}

export async function statusAt(address: string): Promise<NodeStatus> {
  return JSON.parse((await ask(address, '/status')).text) as NodeStatus
}

/** The status of a node once it is as wanted; asked again and again, because only the node knows when. */
export async function statusOnce(address: string, wanted: (status: NodeStatus) => boolean): Promise<NodeStatus> {
  for (;;) {
    const status = await statusAt(address)
    if (wanted(status)) return status
  }
}

/** The middle of an uneven number of figures, or the upper one of the two in the middle. */
export function median(figures: readonly number[]): number {
  return figures.toSorted((a, b) => a - b)[figures.length >> 1]!
}
