// Syncs of a real leader that never end, or end with EIO: injected by strace, where this user may trace a process of its own.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { type Test, t } from 'tap'
import { Load } from '../help/load.ts'
import { RealCluster, statusOnce } from '../help/real-cluster.ts'

t.setTimeout(120_000)

/** What becomes of every sync of a process from now on. */
class Injection {
  readonly #strace: ChildProcess

  private constructor(strace: ChildProcess) {
    this.#strace = strace
  }

  /** `what` in the words of strace. Null where there is no strace, or it may not do that. */
  static async into(t: Test, pid: number, what: string): Promise<Injection | null> {
    const syncs = 'fsync,fdatasync'
    const args = ['-f', '-e', `trace=${syncs}`, '-e', `inject=${syncs}:${what}`, '-o', '/dev/null', '-p', String(pid)]
    const strace = spawn('strace', args, { stdio: ['ignore', 'ignore', 'pipe'] })
    t.teardown(() => strace.kill('SIGKILL'))
    const attached = new Promise<boolean>(resolve => {
      strace.on('error', () => resolve(false))
      strace.on('exit', () => resolve(false))
      createInterface({ input: strace.stderr }).on('line', line => line.includes('attached') && resolve(true))
    })
    return (await attached) ? new Injection(strace) : null
  }

  /** Lets go of the process, which goes on as it is. */
  async end(): Promise<void> {
    if (this.#strace.exitCode !== null || this.#strace.signalCode !== null) return
    const ended = once(this.#strace, 'exit')
    this.#strace.kill('SIGKILL')
    await ended
  }
}

const skip = { skip: 'strace is not there, or may not trace: Debian has it as a package' }

t.test('the disk of the leader hangs, and then refuses a sync: writes flow on, and nothing is lost', async t => {
  const cluster = await RealCluster.start(t)
  const load = new Load(cluster.client(), 8)
  t.teardown(() => void load.stop())
  await load.more(300)

  const sick = await cluster.leader()
  load.watchGap()
  const hangs = await Injection.into(t, cluster.node(sick.id).pid, 'delay_enter=20000000')
  if (hangs === null) return t.pass('a disk that hangs', skip)
  const next = await cluster.leader(sick.term)
  t.not(next.id, sick.id, 'another leads')
  await load.more(300)
  t.ok(load.gapMs < 3_000, `writes flow again after ${Math.round(load.gapMs)} ms`)
  t.comment(`the longest time without an answer: ${Math.round(load.gapMs)} ms`)
  await hangs.end()
  await statusOnce(cluster.address(sick.id), ({ ready }) => ready)

  const { id } = await cluster.leader()
  const node = cluster.node(id)
  const lines = node.lines.length
  const refuses = await Injection.into(t, node.pid, 'error=EIO')
  const fault = await node.line(({ event }) => event === 'fault', lines)
  await refuses?.end()
  t.match(fault.msg, /cannot be written: .*(input\/output|i\/o) error/i)
  await node.line(({ event }) => event === 'open', lines)
  await statusOnce(cluster.address(id), ({ ready }) => ready)
  t.notOk(node.hasEnded, 'the process goes on, with another life')
  await load.more(300)
  await load.stop()
  t.same(
    load.errors.filter(({ fate }) => fate !== 'unknown'),
    [],
    'no call was refused'
  )
  t.same(await load.audit(cluster.client()), { lost: 0, miscounted: [] })
})
