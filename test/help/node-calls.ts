// Callers of one node: each is answered once, with what became of its record, and reads see what was acknowledged before.
import { codeOfNumber } from '../../lib/base/errors.ts'
import { verdictOf } from '../../lib/machine/answer.ts'
import type { ReadTerms } from '../../lib/node/parts.ts'
import type { WriteResult } from '../../lib/node/result.ts'
import type { Index, LogId } from '../../lib/raft/types.ts'
import { pack, unpack } from '../../lib/record/pack.ts'
import { packRequest, packScan } from '../../lib/wire/kv/questions.ts'
import { bytes, type Plain, plain } from '../kv/bed.ts'
import type { ArrivingLife, ArrivingNode } from './arriving-node.ts'
import type { Executed } from './history.ts'
import type { Draft } from './kv-drafts.ts'

interface Caller {
  readonly what: string
  readonly life: ArrivingLife | null
  readonly draft: Draft | null
  answers: number
}

export interface Cluster {
  /** All up to here was committed, as far as anybody knows. */
  readonly committed: () => Index
  /** How many voters hold this record on their disks, and how many there are. */
  readonly holders: (id: LogId) => readonly [number, number]
}

/** Longer than all that can go on in a run. */
export const patientMs = 60_000

const names = ['k0', 'k1', 'k2', 'n']
const question = pack(names.map(name => packRequest({ op: 'get', key: bytes(name), atRevision: 0 })))
const whole = { from: bytes(''), to: null, limit: 0, keysOnly: false, atRevision: 0 }

export class NodeCalls {
  readonly problems: string[] = []
  /** How many callers heard what. */
  readonly ends = new Map<string, number>()
  readonly #node: ArrivingNode
  readonly #cluster: Cluster
  readonly #callers: Caller[] = []
  /** For each record given in whether some attempt may have been applied. */
  readonly #mayApply = new Map<string, boolean>()
  readonly #unanswered = new Set<string>()
  readonly #committed: Draft[] = []
  /** Acknowledged here: a record of the log, and a revision of the store. */
  #acked: Index = 0
  #ackedRevision = 1

  constructor(node: ArrivingNode, cluster: Cluster) {
    this.#node = node
    this.#cluster = cluster
  }

  /** Callers of the present life, or of `life`, who have heard nothing. */
  waiting(life: ArrivingLife | null = this.#node.life): readonly string[] {
    return this.#callers.filter(caller => caller.life === life && caller.answers === 0).map(({ what }) => what)
  }

  write(draft: Draft): void {
    const { life } = this.#node
    if (life?.node == null) return
    const caller = this.#caller(`a write of ${nameOf(draft)}`, draft)
    life.node.write(draft.bytes, result => {
      this.#answered(caller, result.kind === 'refused' ? `${result.code} ${result.fate}` : result.kind)
      this.#judge(draft, result)
    })
  }

  /** What cannot be read is refused at once. */
  writeNothing(): void {
    const { life } = this.#node
    if (life?.node == null) return
    const caller = this.#caller('a write of nothing')
    life.node.write(new Uint8Array(9), result => {
      this.#answered(caller, 'nothing')
      if (result.kind !== 'refused' || result.fate !== 'not-applied') this.problems.push('nothing was taken in')
    })
  }

  /** A record given in elsewhere, and what was said of it there. */
  elsewhere(draft: Draft, told: 'committed' | 'unknown' | 'not-applied'): void {
    this.#end(`elsewhere ${told}`)
    this.#tried(draft, told !== 'not-applied')
    if (told === 'committed' && !draft.inOrder) this.#committed.push(draft)
  }

  read(terms: Pick<ReadTerms, 'point' | 'leastIndex' | 'patienceMs'>, scans: boolean): void {
    const { life } = this.#node
    if (life?.node == null) return
    const { node } = life
    const isLinearizable = terms.point === 'linearizable'
    const least = Math.max(terms.leastIndex, isLinearizable ? Math.max(this.#acked, this.#cluster.committed()) : 0)
    const leastRevision = isLinearizable ? this.#ackedRevision : 0
    const caller = this.#caller(`a read from ${least} on`)
    node.read({ ...terms, enough: null }, error => {
      this.#answered(caller, error === null ? 'read' : `read ${(error as { code?: string }).code}`)
      if (error !== null) {
        const isLate = (error as { code?: string }).code === 'TIMED_OUT'
        if (isLate && terms.patienceMs === patientMs) this.problems.push('all faults have passed, and a read is late')
        return
      }
      if (node.applied < least) this.problems.push(`a read at ${node.applied} that was to see ${least}`)
      if (scans) this.#scan(life, leastRevision)
      else this.#query(life, leastRevision)
    })
  }

  /** At the end, when the node has applied all that is committed. */
  judge(): void {
    for (const { what, life, answers, draft } of this.#callers) {
      if (answers === 0 && draft !== null) for (const name of namesOf(draft)) this.#unanswered.add(name)
      const mayBeSilent = life !== this.#node.life && life?.process.over === true
      if (answers > 1 || (answers === 0 && !mayBeSilent)) this.problems.push(`${what} was answered ${answers} times`)
    }
    const executed = new Map<string, Executed[]>()
    for (const one of this.#node.history.executed) {
      const name = `${one.session}-${one.serial}`
      const all = executed.get(name)
      if (all === undefined) executed.set(name, [one])
      else this.problems.push(`${name} was executed twice`)
    }
    for (const [name, mayApply] of this.#mayApply) {
      // What an earlier life was given, and never answered, may have been applied as well.
      if (!mayApply && !this.#unanswered.has(name) && executed.has(name))
        this.problems.push(`${name} was said not to be applied, and is`)
    }
    for (const draft of this.#committed) {
      const missing = namesOf(draft).filter(name => !executed.has(name))
      if (missing.length > 0) this.problems.push(`${missing.join()} was acknowledged and is lost`)
    }
  }

  #judge(draft: Draft, result: WriteResult): void {
    if (result.kind === 'refused') {
      this.#tried(draft, result.fate === 'unknown')
      return
    }
    if (result.kind === 'relayed') {
      this.elsewhere(draft, Buffer.from(result.bytes).toString() as 'committed')
      return
    }
    const { answer } = result
    const [held, of] = this.#cluster.holders(answer)
    if (2 * held <= of) this.problems.push(`${nameOf(draft)} was acknowledged while ${held} of ${of} disks held it`)
    if (answer.refused !== null) {
      this.#tried(draft, answer.refused.fate === 'unknown')
      return
    }
    this.#tried(draft, true)
    this.#acked = Math.max(this.#acked, answer.index)
    const executed = this.#node.history.executed.filter(one => one.session === draft.session)
    for (let at = 0; at < draft.count; at++) {
      const { status, revision } = verdictOf(answer, at)
      const one = executed.find(({ serial }) => serial === draft.serial + at)
      if (one === undefined || one.said[0] !== status || one.said[1] !== revision) {
        this.problems.push(`${nameOf(draft)} was answered ${codeOfNumber(status)} at ${revision} for number ${at}`)
      }
      if (status === 0) this.#ackedRevision = Math.max(this.#ackedRevision, revision)
    }
    this.#committed.push(draft)
  }

  #query({ kv, process }: ArrivingLife, least: number): void {
    const caller = this.#caller('a query')
    kv.query(question, (error, answer) => {
      if (process.over) return
      this.#answered(caller, 'query')
      if (error !== null) return void this.problems.push(`a query failed: ${error.message}`)
      const [revision, ...entries] = unpack(answer) as [number, ...Parameters<typeof plain>]
      const state = this.#node.history.at(revision)
      const wanted = JSON.stringify(names.map(name => state?.get(name) ?? null))
      const read = JSON.stringify(entries.map(plain))
      if (revision < least || read !== wanted) {
        this.problems.push(`a query from ${least} on said ${read} at ${revision}, where it was ${wanted}`)
      }
    })
  }

  #scan({ kv, process }: ArrivingLife, least: number): void {
    const caller = this.#caller('a scan')
    const source = kv.scan(packScan({ ...whole, reverse: least % 2 === 1 }))
    const entries: Plain[] = []
    const next = (): void => {
      source.page(60, (error, page) => {
        if (process.over) return
        if (error !== null) return void this.problems.push(`a scan failed: ${error.message}`)
        const [revision, ...found] = unpack(page.bytes) as [number, ...Parameters<typeof plain>]
        for (const each of found) entries.push(plain(each)!)
        if (!page.last) return next()
        this.#answered(caller, 'scan')
        this.#judgeScan(entries, revision, least)
      })
    }
    next()
  }

  #judgeScan(entries: readonly Plain[], revision: number, least: number): void {
    const state = [...(this.#node.history.at(revision)?.values() ?? [])]
    const wanted = state.toSorted((a, b) => (a.key < b.key ? -1 : 1))
    if (least % 2 === 1) wanted.reverse()
    if (revision < least || JSON.stringify(entries) !== JSON.stringify(wanted)) {
      this.problems.push(`a scan from ${least} on said ${JSON.stringify(entries)} at ${revision}`)
    }
  }

  #tried(draft: Draft, mayApply: boolean): void {
    for (const name of namesOf(draft)) this.#mayApply.set(name, mayApply || this.#mayApply.get(name) === true)
  }

  #caller(what: string, draft: Draft | null = null): Caller {
    const caller = { what, life: this.#node.life, draft, answers: 0 }
    this.#callers.push(caller)
    return caller
  }

  #answered(caller: Caller, how: string): void {
    caller.answers++
    this.#end(how)
    if (caller.life?.process.over === true) this.problems.push(`${caller.what} was answered after the end`)
  }

  #end(how: string): void {
    this.ends.set(how, (this.ends.get(how) ?? 0) + 1)
  }
}

function nameOf({ session, serial }: Draft): string {
  return `${session}-${serial}`
}

function namesOf({ session, serial, count }: Draft): string[] {
  return Array.from({ length: count }, (_, at) => `${session}-${serial + at}`)
}
