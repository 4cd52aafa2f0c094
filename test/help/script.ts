// Conversations between cores as text: each line that begins with `> ` is a command, the lines below it what it caused.
import {
  describeBlock,
  describeChange,
  describeEnvelope,
  describeLogId,
  describePersist,
  describeStatus
} from '../../lib/raft/describe.ts'
import type { Envelope } from '../../lib/raft/message.ts'
import { lastOf, type Membership } from '../../lib/raft/types.ts'
import { CoreCluster, fakeBlock, keyOf, type Member, membershipOf } from './core-cluster.ts'

/** Runs the commands of a script; the script again, with what each command caused now. */
export function runScript(script: string): string {
  const stage = new Stage()
  const lines: string[] = []
  for (const line of script.split('\n')) {
    if (line.startsWith('> ')) lines.push(line, ...stage.run(line.slice(2).trim()))
    else if (line.startsWith('#') || line === '') lines.push(line)
  }
  return lines.join('\n')
}

type Arguments = readonly string[]

class Stage {
  #cluster = new CoreCluster({ count: 1 })
  #output: string[] = []
  /** Pairs `from->to` that nothing passes. */
  readonly #cuts = new Set<string>()

  run(text: string): string[] {
    this.#output = []
    const [name = '', ...rest] = text.split(/\s+/)
    const command = this.#commands[name]
    if (command === undefined) throw new Error(`no such command: ${text}`)
    command(rest)
    return this.#output
  }

  readonly #commands: Record<string, (rest: Arguments) => void> = {
    /** `nodes 3`, `nodes 4 voters=3`, `nodes 3 learners=3 leaseReads=1 seed=2` */
    nodes: rest => this.#nodes(rest),
    /** `has 1 1 1 2`, `has 1 1 1 2 term=3`: before its start, its log holds records of terms 1, 1, 2; it has seen term 3. */
    has: rest => this.#has(rest),
    /** `campaign 1`: its election timer fires. */
    campaign: rest => this.#cluster.campaign(this.#member(rest[0])),
    /** `put 1`, `put 1 3`: a block of so many records. */
    put: rest => {
      if (!this.#cluster.put(this.#member(rest[0]), Number(rest[1] ?? 1))) this.#say('not accepted')
    },
    /** `noop off`: leaders are not proposed the no-op of their term, until `noop on`. */
    noop: rest => {
      this.#cluster.proposesNoop = rest[0] === 'on'
    },
    read: rest => void this.#cluster.read(this.#member(rest[0])),
    /** `deliver`, `deliver 1->2`, `deliver 2`: what is on its way now, of a pair, or to a member. */
    deliver: rest => this.#deliver(rest[0] ?? '', false),
    /** The same message again, which stays on its way. */
    repeat: rest => this.#deliver(rest[0] ?? '', true),
    /** `drop`, `drop 1->2`, `drop 2`: the same, lost. */
    drop: rest => this.#take(rest[0] ?? '').forEach(envelope => this.#say(`lost: ${describeEnvelope(envelope)}`)),
    /** Delivers everything that comes, but nothing across a cut. */
    stabilize: () => this.#cluster.settle(envelope => this.#passes(envelope)),
    /** `run 500`: lets so many milliseconds pass. */
    run: rest => this.#cluster.run(Number(rest[0]), envelope => this.#passes(envelope)),
    /** `quiet run 500`, `quiet stabilize`: the same, without a word. */
    quiet: rest => this.#quietly(rest),
    /** `wait 500`: the clock moves on, and nobody notices yet. */
    wait: rest => {
      this.#cluster.now += Number(rest[0])
    },
    /** `cut 1->2`, `cut 1-2`, `cut 1`: one way, both ways, from everybody. */
    cut: rest => rest.forEach(pair => this.#cut(pair)),
    heal: () => this.#cuts.clear(),
    crash: rest => this.#cluster.crash(this.#member(rest[0]), Number(rest[1] ?? 0)),
    restart: rest => this.#cluster.restart(this.#member(rest[0])),
    /** `slow 2`: its writes stay under way; `flush 2`, `flush 2 1`: they end, all or the oldest. */
    slow: rest => {
      this.#member(rest[0]).slow = true
    },
    flush: rest => {
      const member = this.#member(rest[0])
      this.#cluster.flush(member, Number(rest[1] ?? member.writes.length))
    },
    /** `damage 2 5`: its disk lost what was above 5, and it knows; it starts again. */
    damage: rest => this.#damage(this.#member(rest[0]), Number(rest[1])),
    /** `compact 1 5`: its log begins after 5. */
    compact: rest => this.#cluster.compact(this.#member(rest[0]), Number(rest[1])),
    transfer: rest => {
      const to = rest[1] === undefined ? null : keyOf(Number(rest[1]))
      this.#cluster.step(this.#member(rest[0]), { kind: 'transfer', to })
    },
    /** `closed 2 1`: member 2 hears that 1 has closed their link. */
    closed: rest => this.#cluster.step(this.#member(rest[0]), { kind: 'link-closed', peer: keyOf(Number(rest[1])) }),
    unreachable: rest =>
      this.#cluster.step(this.#member(rest[0]), { kind: 'unreachable', peer: keyOf(Number(rest[1])) }),
    greeted: rest => {
      const peer = keyOf(Number(rest[1]))
      this.#cluster.step(this.#member(rest[0]), { kind: 'greeted', peer, boot: Number(rest[2]) })
    },
    /** `change 1 voters=1,2 learners=4`: leader 1 is asked to lead the cluster there. */
    change: rest => void this.#cluster.change(this.#member(rest[0]), parseMembership(rest.slice(1))),
    log: () => this.#log(),
    status: rest => this.#status(rest)
  }

  #nodes(rest: Arguments): void {
    const named = new Map(rest.slice(1).map(pair => pair.split('=') as [string, string]))
    const count = Number(rest[0])
    const config = { leaseReads: named.get('leaseReads') === '1' }
    this.#cluster = new CoreCluster({
      count,
      config,
      voters: Number(named.get('voters') ?? count),
      seed: Number(named.get('seed') ?? 1),
      learners: (named.get('learners') ?? '').split(',').filter(Boolean).map(Number)
    })
    this.#listen()
  }

  #listen(): void {
    this.#cluster.onSend = envelope => this.#say(describeEnvelope(envelope))
    this.#cluster.onReady = (member, ready) => {
      const { role, term } = member.core.status
      const name = `n${Number(member.key.slice(member.key.indexOf('.') + 1))}`
      if (ready.changed) this.#say(`${name} is ${role} of term ${term}`)
      if (ready.persist !== null) this.#say(`${name} ${describePersist(ready.persist)}`)
      if (ready.commit !== null) this.#say(`${name} commit ${ready.commit}`)
      for (const { ticket, index } of ready.reads) this.#say(`${name} read ${ticket} at ${index}`)
      for (const { ticket } of ready.refused) this.#say(`${name} refuses ${ticket}`)
      for (const outcome of ready.changes) this.#say(`${name} ${describeChange(outcome)}`)
      if (ready.offer !== null) this.#say(`${name} takes up a snapshot of ${describeLogId(ready.offer.meta.last)}`)
    }
  }

  #has(rest: Arguments): void {
    const member = this.#member(rest[0])
    const seen = rest.find(word => word.startsWith('term='))
    const terms = rest
      .slice(1)
      .filter(word => word !== seen)
      .map(Number)
    const term = seen === undefined ? (terms.at(-1) ?? 0) : Number(seen.slice(5))
    for (const [at, term] of terms.entries()) {
      const previous = { index: at, chain: member.disk.blocks.at(-1)?.chain ?? 0 }
      member.disk.blocks.push(fakeBlock(previous, term, 0))
    }
    member.disk.hard = { term, vote: null }
    this.#cluster.judge.appended(member, member.disk.blocks)
    this.#cluster.restart(member)
  }

  #damage(member: Member, index: number): void {
    this.#cluster.crash(member)
    const { disk } = member
    const last = disk.blocks.at(-1)
    if (last !== undefined) disk.mark = { term: last.term, index: lastOf(last) }
    disk.trusted = false
    disk.blocks = disk.blocks.filter(block => lastOf(block) <= index)
    this.#cluster.restart(member)
  }

  #deliver(which: string, keep: boolean): void {
    const taken = this.#take(which)
    if (keep) this.#cluster.network.unshift(...taken)
    for (const envelope of taken) {
      const member = this.#cluster.members.get(envelope.to)
      if (member !== undefined) this.#cluster.step(member, { kind: 'receive', envelope })
    }
  }

  #take(which: string): Envelope[] {
    const [from, to] = which.includes('->')
      ? which.split('->').map(Number)
      : [null, which === '' ? null : Number(which)]
    const taken = (envelope: Envelope): boolean =>
      (from === null || from === undefined || envelope.from === keyOf(from)) &&
      (to === null || to === undefined || envelope.to === keyOf(to))
    const found = this.#cluster.network.filter(taken)
    this.#cluster.network = this.#cluster.network.filter(envelope => !taken(envelope))
    return found
  }

  #cut(pair: string): void {
    const numbers = [...this.#cluster.members.keys()].map((_, at) => at + 1)
    if (pair.includes('->')) this.#cuts.add(pair)
    else if (pair.includes('-')) {
      const [a, b] = pair.split('-')
      this.#cuts.add(`${a}->${b}`).add(`${b}->${a}`)
    } else for (const other of numbers) this.#cuts.add(`${pair}->${other}`).add(`${other}->${pair}`)
  }

  #passes({ from, to }: Envelope): boolean {
    const number = (key: string): number => Number(key.slice(key.indexOf('.') + 1))
    return !this.#cuts.has(`${number(from)}->${number(to)}`)
  }

  #quietly(rest: Arguments): void {
    const before = this.#output
    this.#output = []
    this.#commands[rest[0]!]!(rest.slice(1))
    this.#output = before
  }

  #log(): void {
    for (const member of this.#cluster.members.values()) {
      const { base, commit } = member.core.status
      const blocks = member.blocks.map(describeBlock).join(' ')
      this.#say(`${this.#name(member)}: ${describeLogId(base)} | ${blocks} | commit=${commit}`)
    }
  }

  #status(rest: Arguments): void {
    for (const member of rest.length > 0 ? [this.#member(rest[0])] : this.#cluster.members.values()) {
      this.#say(member.up ? describeStatus(member.core.status) : `${this.#name(member)} is down`)
    }
  }

  #member(name: string | undefined): Member {
    const member = this.#cluster.members.get(keyOf(Number(name)))
    if (member === undefined) throw new Error(`no such member: ${name}`)
    return member
  }

  #name(member: Member): string {
    return member.key.slice(0, member.key.indexOf('.'))
  }

  #say(line: string): void {
    this.#output.push(line)
  }
}

function parseMembership(rest: Arguments): Membership {
  const named = new Map(rest.map(pair => pair.split('=') as [string, string]))
  const keys = (name: string): number[] => (named.get(name) ?? '').split(',').filter(Boolean).map(Number)
  return membershipOf(keys('voters'), named.has('outgoing') ? keys('outgoing') : null, keys('learners'))
}
