// `stretto demo`: a cluster loses its leader in the middle of writes, and every acknowledged write is there afterwards.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Command } from 'commander'
import { StrettoError } from '../lib/base/errors.ts'
import { type Client, connect } from '../lib/client/client.ts'
import { formatDuration } from '../lib/server/durations.ts'
import { CommandFault, exitCode } from './faults.ts'
import { freePorts, LocalCluster } from './local-cluster.ts'
import { getJson } from './node-http.ts'
import { printLine, styled } from './print.ts'

const writersCount = 16
const beforeMs = 1_500
const afterMs = 2_500
const demoMsMax = 28_000

export function demo(command: Command): void {
  command.action(runDemo)
}

async function runDemo(): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'stretto-demo-'))
  const ports = await freePorts(3)
  const nodes = new Map(ports.map((port, at) => [`n${at + 1}`, `127.0.0.1:${port}`] as const))
  const lastLines = new Map<string, string>()
  const cluster = new LocalCluster({
    dataDir: directory,
    nodes,
    line: (id, text) => lastLines.set(id, text),
    ended: () => {}
  })
  try {
    await Promise.race([tellStory(cluster, nodes), untimelyEnd()])
    await cluster.stop()
    printLine(styled('green', 'Everything was as promised.'))
  } catch (error) {
    for (const [id, line] of lastLines) process.stderr.write(`${id} said last: ${line}\n`)
    throw error
  } finally {
    cluster.killAll()
    rmSync(directory, { recursive: true, force: true, maxRetries: 5 })
  }
}

/** Rejects when the story takes too long or is interrupted. */
function untimelyEnd(): Promise<never> {
  return new Promise((_, reject) => {
    const end = (code: number, text: string) => reject(new CommandFault(code, text))
    setTimeout(() => end(exitCode.failed, 'the story took too long'), demoMsMax).unref()
    process.once('SIGINT', () => end(exitCode.interrupted, 'interrupted'))
    process.once('SIGTERM', () => end(exitCode.failed, 'ended by SIGTERM'))
  })
}

async function tellStory(cluster: LocalCluster, nodes: ReadonlyMap<string, string>): Promise<void> {
  const begun = performance.now()
  await cluster.start()
  const leader = await findLeader(cluster.endpoints)
  printLine(`Three nodes run, each a process of its own; ${leader} leads (${since(begun)}).`)
  const others = [...nodes.keys()].filter(id => id !== leader)

  const db = connectTo(cluster.endpoints)
  const other = connectTo([nodes.get(others[0]!)!])
  const survivor = connectTo(others.map(id => nodes.get(id)!))
  const { revision } = await db.put('greeting', 'hello')
  const entry = await other.get('greeting')
  if (entry?.value !== 'hello') throw broken(`a read from ${others[0]} does not see the write that was acknowledged`)
  printLine(`Wrote 'hello' at revision ${revision}, and read it from ${others[0]}: '${entry.value}'.`)

  const writes = new Writes(db)
  const writing = writes.run()
  await sleep(beforeMs)
  const before = writes.acknowledged.size
  if (before === 0) throw broken('no write was acknowledged while all nodes ran')
  printLine(`${writersCount} writers: ${before} writes acknowledged. Now ${leader} is ended by SIGKILL...`)
  cluster.kill(leader)
  writes.killed()
  await sleep(afterMs)
  await writes.stop(writing)
  if (writes.acknowledgedAfterKill === 0) throw broken('no write was acknowledged after the leader was gone')
  const next = await findLeader(others.map(id => nodes.get(id)!))
  printLine(
    `${next} leads. The longest pause between two acknowledgements was ${styled('bold', `${Math.round(writes.gapMs)} ms`)}.`
  )
  const all = writes.acknowledged.size
  printLine(`${all} writes acknowledged, ${writes.unknown} with an unknown outcome, ${writes.refused} refused.`)

  const lost = await countLost(survivor, writes.acknowledged)
  if (lost > 0) throw broken(`${lost} of ${all} acknowledged writes are not there`)
  printLine(`Read back: all ${all} acknowledged writes are there (${since(begun)} in all).`)
  await Promise.all([db.close(), other.close(), survivor.close()])
}

/** Writers that go on until they are stopped, and what they were told. */
class Writes {
  readonly acknowledged = new Map<string, string>()
  unknown = 0
  refused = 0
  /** The longest pause between two acknowledgements that ended after the kill. */
  gapMs = 0
  /** Of writes that began after the kill. */
  acknowledgedAfterKill = 0
  readonly #db: Client<string>
  #count = 0
  #last = 0
  #killed = false
  #stopped = false

  constructor(db: Client<string>) {
    this.#db = db
  }

  async run(): Promise<void> {
    this.#last = performance.now()
    await Promise.all(Array.from({ length: writersCount }, () => this.#write()))
  }

  killed(): void {
    this.#killed = true
  }

  async stop(writing: Promise<void>): Promise<void> {
    this.#stopped = true
    await writing
  }

  async #write(): Promise<void> {
    while (!this.#stopped) {
      const number = ++this.#count
      const afterKill = this.#killed
      const key = `demo/${String(number).padStart(8, '0')}`
      try {
        await this.#db.put(key, `value ${number}`)
      } catch (error) {
        if (!(error instanceof StrettoError)) throw error
        if (error.fate === 'unknown') this.unknown++
        else this.refused++
        continue
      }
      const now = performance.now()
      if (this.#killed) this.gapMs = Math.max(this.gapMs, now - this.#last)
      this.#last = now
      if (afterKill) this.acknowledgedAfterKill++
      this.acknowledged.set(key, `value ${number}`)
    }
  }
}

async function countLost(db: Client<string>, acknowledged: ReadonlyMap<string, string>): Promise<number> {
  let found = 0
  for await (const entry of db.range({ prefix: 'demo/' })) {
    if (acknowledged.get(entry.key) === entry.value) found++
  }
  return acknowledged.size - found
}

async function findLeader(endpoints: readonly string[]): Promise<string> {
  for (const endpoint of endpoints) {
    const status = await getJson(endpoint, '/status', 2_000)
    if (typeof status !== 'object' || status === null || !('leader' in status)) continue
    if (typeof status.leader === 'string') return status.leader
  }
  throw broken('no node knows a leader')
}

function connectTo(endpoints: readonly string[]): Client<string> {
  return connect(endpoints, { valueEncoding: 'utf8' })
}

function broken(text: string): CommandFault {
  return new CommandFault(exitCode.failed, `the promise is broken: ${text}`)
}

function since(begun: number): string {
  return formatDuration(performance.now() - begun)
}
