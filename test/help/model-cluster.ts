// A cluster as its clients see it, without consensus: one store, real sessions, and nodes that misbehave when told to.
import { readU16, readU32, readU64, toHex } from '../../lib/base/bytes.ts'
import { type ErrorCode, type Fate, numberOfCode, StrettoError } from '../../lib/base/errors.ts'
import { type Packed, pack } from '../../lib/record/pack.ts'
import { commandAt, draftFault, inOrderFlag, recordAt, recordKind } from '../../lib/record/record.ts'
import type { MemoryNet } from '../../lib/transport/memory-net.ts'
import type { Closed, Link, LinkHandler } from '../../lib/transport/net.ts'
import {
  type Applied,
  frameKind,
  framesOf,
  type Question,
  readHello,
  readQuestion,
  readSmall,
  writeAnswered,
  writeApplied,
  writePage,
  writeRefused,
  writeSmall,
  writeWelcome
} from '../../lib/wire/client.ts'
import type { Command, FirstCommand } from '../../lib/wire/kv/commands.ts'
import { type Entry, packEntry, readRequests, readScan } from '../../lib/wire/kv/questions.ts'
import { readCommands } from '../../lib/wire/kv/read-commands.ts'

type Verdict = NonNullable<NonNullable<Applied['each']>[number]>

interface ModelSession {
  floor: number
  readonly known: Map<number, Verdict>
}

const plainly: Verdict['answer'] = null
const decoder = new TextDecoder()

/** The replicated part: what a log and a machine would make of the records, in the order they are given. */
export class ModelStore {
  revision = 1
  index = 10
  term = 3
  /** Sessions opened before this cluster time are gone. */
  horizon = 0
  readonly entries = new Map<string, Entry>()
  readonly sessions = new Map<string, ModelSession>()
  /** Every command that was executed, in order: `session-serial`, and what it was. */
  readonly executed: { readonly id: string; readonly command: Command }[] = []
  /** What it has to say of commands that are no simple put, delete or increment. */
  beyond: (command: Command) => Verdict = () => refused('BAD_REQUEST')

  text(key: string): string | null {
    const value = this.entries.get(key)?.value
    return value == null ? null : decoder.decode(value)
  }

  /** Null: the session is gone. */
  apply(draft: Uint8Array, time: number): Omit<Applied, 'number'> | null {
    const fault = draftFault(draft)
    if (fault !== null) throw new StrettoError('BAD_REQUEST', fault)
    const session = this.#session(draft)
    if (session === null) return null
    this.index++
    const count = readU16(draft, commandAt.count)
    if (draft[recordAt.kind] === recordKind.resolve) return this.#outcome(0, this.#resolve(session, draft, count))
    const floor = readU64(draft, commandAt.floor)
    if (floor > session.floor) {
      session.floor = floor
      for (const serial of session.known.keys()) if (serial <= floor) session.known.delete(serial)
    }
    const commands = readCommands(draft.slice(commandAt.commands), count)
    const late = readU64(draft, commandAt.notAfter) !== 0 && time > readU64(draft, commandAt.notAfter)
    const before = this.revision
    const each = commands.map((command, at) =>
      this.#once(session, draft, readU64(draft, commandAt.serial) + at, command, late)
    )
    const plain =
      this.revision === before + count && each.every(verdict => verdict.status === 0 && verdict.answer === null)
    return this.#outcome(before + 1, plain ? null : each)
  }

  /** A record that is to be applied in order, and one before it is missing. */
  isEarly(draft: Uint8Array): boolean {
    if (draft[recordAt.kind] !== recordKind.command || draft[recordAt.flags] !== inOrderFlag) return false
    const session = this.#session(draft)
    if (session === null) return false
    const floor = Math.max(readU64(draft, commandAt.floor), session.floor)
    for (let serial = floor + 1; serial < readU64(draft, commandAt.serial); serial++) {
      if (!session.known.has(serial)) return true
    }
    return false
  }

  #outcome(revision: number, each: Verdict[] | null): Omit<Applied, 'number'> {
    return { term: this.term, index: this.index, revision, each }
  }

  #session(draft: Uint8Array): ModelSession | null {
    const id = sessionText(draft)
    let session = this.sessions.get(id)
    if (session === undefined && readU64(draft, commandAt.session) < this.horizon) return null
    if (session === undefined) {
      session = { floor: 0, known: new Map() }
      this.sessions.set(id, session)
    }
    return session
  }

  #resolve(session: ModelSession, draft: Uint8Array, count: number): Verdict[] {
    return Array.from({ length: count }, (_, at) => {
      const serial = readU64(draft, commandAt.commands + 8 * at)
      if (serial <= session.floor) return refused('SESSION_EXPIRED')
      const known = session.known.get(serial) ?? refused('TIMED_OUT')
      session.known.set(serial, known)
      return known
    })
  }

  #once(session: ModelSession, draft: Uint8Array, serial: number, command: Command, late: boolean): Verdict {
    if (serial <= session.floor) return refused('SESSION_EXPIRED')
    let verdict = session.known.get(serial)
    if (verdict === undefined) {
      verdict = late ? refused('TIMED_OUT') : this.#execute(command, `${sessionText(draft)}-${serial}`)
      session.known.set(serial, verdict)
    }
    return verdict
  }

  #execute(command: Command, id: string): Verdict {
    if (!isFirst(command)) {
      const verdict = this.beyond(command)
      if (verdict.status === 0) this.executed.push({ id, command })
      return verdict
    }
    const key = decoder.decode(command.key)
    const previous = this.entries.get(key) ?? null
    if (command.op === 'increment') {
      const value = Number(this.text(key) ?? 0) + command.by
      if (!Number.isSafeInteger(value)) return refused('BAD_REQUEST')
      this.#write(key, previous, new TextEncoder().encode(String(value)))
      this.executed.push({ id, command })
      return { status: 0, revision: this.revision, answer: pack([value]) }
    }
    const shown = previous === null ? null : packEntry(previous)
    if (command.ifRevision !== null && command.ifRevision !== (previous?.modRevision ?? 0)) {
      return { ...refused('CONDITION_FAILED'), revision: this.revision, answer: pack([shown]) }
    }
    this.executed.push({ id, command })
    if (command.op === 'put') {
      this.#write(key, previous, command.value.slice())
      return { status: 0, revision: this.revision, answer: command.previous ? pack([shown]) : plainly }
    }
    if (previous !== null) this.revision++
    this.entries.delete(key)
    const fields: Packed[] = [previous === null ? 0 : 1]
    if (command.previous) fields.push(shown)
    return { status: 0, revision: this.revision, answer: pack(fields) }
  }

  #write(key: string, previous: Entry | null, value: Uint8Array): void {
    this.revision++
    this.entries.set(key, {
      key: new TextEncoder().encode(key),
      value,
      createRevision: previous?.createRevision ?? this.revision,
      modRevision: this.revision,
      version: (previous?.version ?? 0) + 1,
      leaseId: 0
    })
  }

  between(from: Uint8Array, to: Uint8Array | null): Entry[] {
    const first = toHex(from)
    const end = to === null ? null : toHex(to)
    return [...this.entries.values()]
      .map(entry => ({ entry, order: toHex(entry.key) }))
      .filter(({ order }) => order >= first && (end === null || order < end))
      .sort((a, b) => (a.order < b.order ? -1 : 1))
      .map(({ entry }) => entry)
  }
}

function isFirst(command: Command): command is FirstCommand {
  return command.op === 'put' || command.op === 'delete' || command.op === 'increment'
}

function refused(code: ErrorCode): Verdict {
  return { status: numberOfCode(code), revision: 0, answer: null }
}

export function sessionText(draft: Uint8Array): string {
  return toHex(draft.subarray(commandAt.session, commandAt.session + 18))
}

/** Several nodes that share one store. */
export class ModelCluster {
  readonly store = new ModelStore()
  readonly nodes: ModelNode[] = []
  clusterId = 'c1'
  leader: string | null = 'n1'
  /** Cluster time is the virtual time and this. */
  timeOffset = 1_000_000
  readonly now: () => number

  constructor(now: () => number) {
    this.now = now
  }

  get time(): number {
    return Math.floor(this.now() + this.timeOffset)
  }

  add(net: MemoryNet, id: string, address: string): ModelNode {
    const node = new ModelNode(this, id, address)
    this.nodes.push(node)
    node.listen(net)
    return node
  }

  elect(leader: string | null): void {
    this.leader = leader
    for (const node of this.nodes) node.news()
  }
}

export interface Refusal {
  readonly code: ErrorCode
  readonly fate?: Fate
  readonly retryAfterMs?: number | null
}

export class ModelNode {
  readonly id: string
  readonly address: string
  readonly cluster: ModelCluster
  readonly links = new Set<ModelLink>()
  /** Every frame that came, as copies. */
  readonly frames: Uint8Array[] = []
  /** Number of frames in each message that came. */
  readonly messages: number[] = []
  /** Sees each frame first; true: it has been dealt with. */
  intercept: (frame: Uint8Array, link: ModelLink) => boolean = () => false
  #suspended: { readonly link: ModelLink; readonly bytes: Uint8Array }[] | null = null
  /** What it believes of the leader, where that is not what the others do. */
  leaderBelief: string | null | undefined = undefined
  pageBytes = 200
  linksAccepted = 0

  constructor(cluster: ModelCluster, id: string, address: string) {
    this.cluster = cluster
    this.id = id
    this.address = address
  }

  listen(net: MemoryNet): void {
    net.listen(
      `${this.address}/v1`,
      link => {
        const handler = new ModelLink(this, link)
        this.links.add(handler)
        this.linksAccepted++
        return handler
      },
      () => {}
    )
  }

  get mute(): boolean {
    return this.#suspended !== null
  }

  /** A suspended process: what comes waits, and is dealt with in order when it goes on, also on links that have ended. */
  set mute(mute: boolean) {
    const waiting = this.#suspended ?? []
    this.#suspended = mute ? waiting : null
    if (!mute) for (const { link, bytes } of waiting) link.message(bytes)
  }

  suspend(link: ModelLink, bytes: Uint8Array): void {
    this.#suspended?.push({ link, bytes: bytes.slice() })
  }

  kinds(kind: number): Uint8Array[] {
    return this.frames.filter(frame => frame[4] === kind)
  }

  get welcomeFrame(): Uint8Array {
    const { clusterId, time: clusterTime, leader, nodes } = this.cluster
    return writeWelcome({
      protocol: 1,
      clusterId,
      nodeId: this.id,
      clusterTime,
      leader: this.leaderBelief === undefined ? leader : this.leaderBelief,
      members: nodes.map(({ id, address }) => ({ id, address })),
      requestBytesMax: 1_572_864
    })
  }

  news(): void {
    for (const link of this.links) if (link.greeted && !this.mute) link.link.send(this.welcomeFrame)
  }

  /** Ends all links from this side. */
  cut(): void {
    for (const link of this.links) link.link.close()
  }
}

export class ModelLink implements LinkHandler {
  readonly node: ModelNode
  readonly link: Link
  greeted = false
  #held: Uint8Array[] | null = null
  readonly #scans = new Map<
    number,
    { readonly revision: number; readonly rest: Entry[]; readonly keysOnly: boolean; credit: number }
  >()

  constructor(node: ModelNode, link: Link) {
    this.node = node
    this.link = link
  }

  open(): void {}

  closed(_by: Closed): void {
    this.node.links.delete(this)
  }

  message(bytes: Uint8Array): void {
    if (this.node.mute) {
      this.node.suspend(this, bytes)
      return
    }
    const frames = framesOf(bytes)?.map(frame => frame.slice())
    if (frames === undefined) throw new Error('the client sent frames whose lengths do not add up')
    this.node.messages.push(frames.length)
    for (const frame of frames) {
      this.node.frames.push(frame)
      if (this.#held !== null && frame[4] === frameKind.command) this.#held.push(frame)
      else if (!this.node.intercept(frame, this)) this.handle(frame)
    }
  }

  /** Keeps a record, and those that come after it on this link, until they are released. */
  hold(frame: Uint8Array): void {
    this.#held = [frame]
  }

  release(): void {
    const held = this.#held ?? []
    this.#held = null
    for (const frame of held) this.applied(frame)
  }

  handle(frame: Uint8Array): void {
    switch (frame[4]) {
      case frameKind.hello:
        readHello(frame)
        this.greeted = true
        this.link.send(this.node.welcomeFrame)
        break
      case frameKind.command:
      case frameKind.resolve:
        this.applied(frame)
        break
      case frameKind.read:
        this.#read(readQuestion(frame))
        break
      case frameKind.scan:
        this.#scan(readQuestion(frame))
        break
      case frameKind.credit: {
        const { number, amount } = readSmall(frame)
        const scan = this.#scans.get(number)
        if (scan === undefined) break
        scan.credit += amount
        this.#pages(number)
        break
      }
      case frameKind.cancel:
        this.#scans.delete(readSmall(frame).number)
        break
      case frameKind.ping:
        this.link.send(writeSmall(frameKind.pong, readSmall(frame).number))
        break
      default:
        throw new Error('the client sent a frame of an unknown kind')
    }
  }

  /** Applies the record and answers. */
  applied(draft: Uint8Array): void {
    this.link.send(this.apply(draft))
  }

  /** Applies the record; gives the answer. */
  apply(draft: Uint8Array): Uint8Array {
    if (this.node.cluster.store.isEarly(draft)) return this.refusal(draft, { code: 'UNAVAILABLE' })
    const applied = this.node.cluster.store.apply(draft, this.node.cluster.time)
    const number = readU32(draft, recordAt.term)
    return applied === null
      ? this.refusal(draft, { code: 'SESSION_EXPIRED', fate: 'unknown' })
      : writeApplied({ ...applied, number })
  }

  refuse(frame: Uint8Array, refusal: Refusal): void {
    this.link.send(this.refusal(frame, refusal))
  }

  refusal(frame: Uint8Array, { code, fate = 'not-applied', retryAfterMs = null }: Refusal): Uint8Array {
    const isRecord = frame[4] === frameKind.command || frame[4] === frameKind.resolve
    const number = readU32(frame, isRecord ? recordAt.term : 8)
    return writeRefused({ number, code, fate, text: `the model refuses: ${code}`, retryAfterMs })
  }

  #read({ number, consistency, body }: Question): void {
    const { store } = this.node.cluster
    const answers = readRequests(body).map((request): Packed => {
      if (request.op === 'lease' || request.op === 'leases') return null
      if (request.op === 'count') return store.between(request.from, request.to).length
      const entry = store.entries.get(decoder.decode(request.key))
      return entry === undefined ? null : packEntry(entry)
    })
    const { term, index } = store
    const ageMs = consistency === 'stale' ? 7 : 0
    this.link.send(writeAnswered({ number, consistency, term, index, ageMs, body: pack([store.revision, ...answers]) }))
  }

  #scan({ number, body }: Question): void {
    const { store } = this.node.cluster
    const { from, to, limit, reverse, keysOnly, atRevision } = readScan(body)
    if (atRevision !== 0 && atRevision !== store.revision) {
      this.link.send(writeRefused({ number, code: 'COMPACTED', fate: 'not-applied', text: 'gone', retryAfterMs: null }))
      return
    }
    const all = store.between(from, to)
    if (reverse) all.reverse()
    const rest = limit === 0 ? all : all.slice(0, limit)
    this.#scans.set(number, { revision: store.revision, rest, keysOnly, credit: 1 })
    this.#pages(number)
  }

  #pages(number: number): void {
    const scan = this.#scans.get(number)
    if (scan === undefined) return
    while (scan.credit > 0 && this.#scans.has(number)) {
      const page: Packed[] = [scan.revision]
      let bytes = 0
      while (scan.rest.length > 0 && bytes < this.node.pageBytes) {
        const entry = scan.rest.shift()!
        bytes += entry.key.length + (entry.value?.length ?? 0) + 10
        page.push(packEntry(scan.keysOnly ? { ...entry, value: null } : entry))
      }
      const body = pack(page)
      scan.credit -= body.length
      const last = scan.rest.length === 0
      if (last) this.#scans.delete(number)
      this.link.send(writePage({ number, last, body }))
    }
  }
}
