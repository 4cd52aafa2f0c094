// Other replicated stores on this machine: three nodes of one on loopback, with durable settings, for as long as they are measured.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { homedir, tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { freePorts } from '../../bin/local-cluster.ts'
import { UsageError } from '../../lib/server/usage-error.ts'
import { killAll, pidsOf } from '../processes.ts'

export const peerNames = ['etcd', 'nats'] as const
export type PeerName = (typeof peerNames)[number]

interface Ports {
  readonly client: number
  readonly peer: number
}

interface PeerKind {
  /** Its program, looked for in the path. */
  readonly program: string
  /** What is to be known beside its figures. */
  readonly remark: string
  /** The arguments of one of three nodes. */
  readonly args: (number: number, ports: readonly Ports[], folder: string) => string[]
}

const kinds: Readonly<Record<PeerName, PeerKind>> = {
  etcd: {
    program: 'etcd',
    remark:
      'etcd: every write is on the disk of a majority, reads are linearizable. Load by its Go client, one per connection',
    args: (number, ports, folder) => {
      const own = ports[number]!
      const members = ports.map(({ peer }, at) => `n${at}=http://127.0.0.1:${peer}`).join(',')
      // biome-ignore format: an option and its value on one line
      return [
        '--name', `n${number}`, '--data-dir', folder,
        '--listen-client-urls', `http://127.0.0.1:${own.client}`, '--advertise-client-urls', `http://127.0.0.1:${own.client}`,
        '--listen-peer-urls', `http://127.0.0.1:${own.peer}`, '--initial-advertise-peer-urls', `http://127.0.0.1:${own.peer}`,
        '--initial-cluster', members, '--initial-cluster-state', 'new',
        '--quota-backend-bytes', '8589934592', '--log-level', 'error', '--logger', 'zap'
      ]
    }
  },
  nats: {
    program: 'nats-server',
    remark:
      'NATS KV, file storage: before 2.10 a write is not synced when it is acknowledged; reads are those of the leader of ' +
      'the stream, without a quorum. Load by its Go client',
    args: (number, ports, folder) => {
      const own = ports[number]!
      const routes = ports.map(({ peer }) => `nats://127.0.0.1:${peer}`).join(', ')
      const file = join(folder, 'nats.conf')
      writeFileSync(
        file,
        `server_name: n${number}\nlisten: 127.0.0.1:${own.client}\nmax_connections: 4096\n` +
          `jetstream { store_dir: "${folder}", max_mem: 512MB, max_file: 20GB }\n` +
          `cluster { name: peers, listen: 127.0.0.1:${own.peer}, routes: [ ${routes} ] }\n`
      )
      return ['-c', file]
    }
  }
}

export class Peer {
  readonly name: PeerName
  readonly remark: string
  readonly #folder: string
  readonly #children: ChildProcess[]
  readonly #endpoints: readonly string[]

  private constructor(name: PeerName, folder: string, children: ChildProcess[], endpoints: readonly string[]) {
    this.name = name
    this.remark = kinds[name].remark
    this.#folder = folder
    this.#children = children
    this.#endpoints = endpoints
  }

  /** @throws UsageError where it is not installed or its load generator is not built */
  static async start(name: PeerName): Promise<Peer> {
    const { program, args } = kinds[name]
    const file = programFile(program)
    generatorOf(name)
    const numbers = await freePorts(6)
    const ports = [0, 1, 2].map(at => ({ client: numbers[2 * at]!, peer: numbers[2 * at + 1]! }))
    const folder = mkdtempSync(join(tmpdir(), `stretto-${name}-`))
    const children = ports.map((_, at) => {
      const own = join(folder, `n${at}`)
      mkdirSync(own)
      return spawn(file, args(at, ports, own), { stdio: 'ignore', detached: true })
    })
    const peer = new Peer(
      name,
      folder,
      children,
      ports.map(({ client }) => `127.0.0.1:${client}`)
    )
    try {
      await Promise.all(ports.map(({ client }, at) => listening(client, children[at]!)))
      return peer
    } catch (error) {
      await peer.stop()
      throw error
    }
  }

  get pids(): number[] {
    return pidsOf(this.#children)
  }

  /** Runs its load generator with these options; gives the JSON that it prints last, null where it prints none. */
  async load(options: Readonly<Record<string, string | number>>): Promise<unknown> {
    const own = { peer: this.name, endpoints: this.#endpoints.join(','), pids: this.pids.join(',') }
    const all: Readonly<Record<string, string | number>> = { ...own, ...options }
    const args = Object.entries(all).flatMap(([option, value]) => [`-${option}`, String(value)])
    const child = spawn(generatorOf(this.name), args, { stdio: ['ignore', 'pipe', 'inherit'] })
    const ended = once(child, 'close')
    const text = (await child.stdout.setEncoding('utf8').toArray()).join('').trim()
    const [code] = await ended
    if (code !== 0) throw new Error(`the load generator of ${this.name} has ended with exit code ${code}`)
    return text === '' ? null : JSON.parse(text.split('\n').at(-1)!)
  }

  async stop(): Promise<void> {
    await killAll(this.#children)
    rmSync(this.#folder, { recursive: true, force: true, maxRetries: 5 })
  }
}

function programFile(program: string): string {
  const folders = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/sbin', '/usr/local/bin']
  const found = folders.map(folder => join(folder, program)).find(file => existsSync(file))
  if (found === undefined) throw new UsageError(`${program} is not installed: bench/peers/README.md says how`)
  return found
}

function generatorOf(name: PeerName): string {
  const folder = process.env['STRETTO_PEERS'] ?? join(homedir(), '.cache', 'stretto-peers')
  const file = join(folder, `load-${name}`)
  if (!existsSync(file))
    throw new UsageError(`the load generator of ${name} is not built: bench/peers/setup.sh builds it`)
  return file
}

/** Until something listens there. */
async function listening(port: number, child: ChildProcess): Promise<void> {
  for (let tries = 0; tries < 600; tries++) {
    if (child.exitCode !== null || child.signalCode !== null) throw new Error('a node of the peer has ended')
    const open = await new Promise<boolean>(resolve => {
      const socket = connect(port, '127.0.0.1', () => resolve(true)).on('error', () => resolve(false))
      socket.on('connect', () => socket.destroy())
    })
    if (open) return
    await new Promise(resolve => setTimeout(resolve, 100))
  }
  throw new Error(`nothing listens on port ${port}`)
}
