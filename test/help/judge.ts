// The judge of a cluster of cores: what may never be seen, whatever the schedule (paper figure 3), with a memory that
// outlives every crash.
import type { Envelope } from '../../lib/raft/message.ts'
import { type Block, type Index, lastOf, type MemberKey, type Term } from '../../lib/raft/types.ts'
import type { CoreCluster, Member } from './core-cluster.ts'

interface Ghost {
  readonly term: Term
  readonly chain: number
}

export class Judge {
  /** Who ever led each term. */
  readonly leaders = new Map<Term, MemberKey>()
  /** By the last index of a block: what was committed there first. */
  readonly committedAt = new Map<Index, Ghost>()
  /** The highest index any member has called committed. */
  commit: Index = 0
  reads = 0
  readonly #votes = new Map<string, MemberKey>()
  /** By index and term: the chain value there, the same on all members for ever. */
  readonly #chains = new Map<string, number>()
  readonly #terms = new Map<MemberKey, Term>()
  readonly #commits = new Map<MemberKey, Index>()
  /** What was committed when a read was asked. */
  readonly #asked = new Map<number, Index>()

  /** Log matching: the same index and term name the same record, and the same records before it. */
  appended(member: Member, blocks: readonly Block[]): void {
    for (const block of blocks) {
      const name = `${lastOf(block)}@${block.term}`
      const chain = this.#chains.get(name)
      if (chain === undefined) this.#chains.set(name, block.chain)
      else judge(chain === block.chain, `log matching: ${member.key} holds another record at ${name}`)
    }
    let next: Index | null = null
    for (const block of member.blocks) {
      judge(next === null || block.first === next, `${member.key}: its log is contiguous`)
      next = lastOf(block) + 1
    }
  }

  /** State machine safety, the commit rule, and that the commit index never falls within a life. */
  committed(cluster: CoreCluster, member: Member, commit: Index): void {
    judge(commit >= (this.#commits.get(member.key) ?? 0), `${member.key}: its commit index fell`)
    this.#commits.set(member.key, commit)
    for (const block of member.blocks) {
      const index = lastOf(block)
      if (index > commit) break
      const ghost = this.committedAt.get(index)
      if (ghost === undefined) this.committedAt.set(index, { term: block.term, chain: block.chain })
      else {
        const same = ghost.term === block.term && ghost.chain === block.chain
        judge(same, `state machine safety: ${member.key} commits another record at ${index}`)
      }
    }
    const { role, term, membership } = member.core.status
    if (role === 'leader') {
      const block = member.blocks.find(block => lastOf(block) === commit)
      judge(block?.term === term, `${member.key}: a leader commits by records of its own term`)
      for (const voters of [membership.voters, membership.outgoing]) {
        if (voters === null) continue
        const holders = voters.filter(key => {
          const blocks = cluster.members.get(key)!.disk.blocks
          return blocks.some(held => lastOf(held) === commit && held.chain === block?.chain)
        })
        judge(2 * holders.length > voters.length, `${member.key}: ${commit} is committed on the disks of a quorum`)
      }
    }
    this.commit = Math.max(this.commit, commit)
  }

  /** Election safety, leader completeness, terms that never fall. */
  look(cluster: CoreCluster, member: Member): void {
    const { role, term } = member.core.status
    judge(term >= (this.#terms.get(member.key) ?? 0), `${member.key}: its term fell`)
    this.#terms.set(member.key, term)
    if (role !== 'leader' || this.leaders.get(term) === member.key) return
    judge(!this.leaders.has(term), `election safety: ${member.key} and ${this.leaders.get(term)} lead term ${term}`)
    this.leaders.set(term, member.key)
    const chains = new Map(member.blocks.map(block => [lastOf(block), block.chain]))
    const base = member.core.status.base.index
    for (const [index, ghost] of this.committedAt) {
      const held = index <= base || chains.get(index) === ghost.chain
      judge(held, `leader completeness: ${member.key} leads term ${term} without ${index}`)
    }
    judge(cluster.members.get(member.key) === member, 'a member of this cluster')
  }

  /** Persist before speak: a message tells nothing that a power cut could take back. */
  sent(member: Member, { from, to, term, message }: Envelope): void {
    const { disk } = member
    judge(from === member.key, 'nobody speaks for another')
    const pre = (message.kind === 'vote' || message.kind === 'vote-reply') && message.pre
    judge(pre || disk.hard.term >= term, `${from}: speaks in a term that is not on its disk`)
    if (message.kind === 'append-reply') {
      const last = disk.blocks.at(-1)
      const held = last === undefined ? disk.base.index : lastOf(last)
      judge(message.match <= held, `${from}: acknowledges ${message.match} and holds ${held}`)
    }
    if (message.kind !== 'vote-reply' || message.pre || !message.granted) return
    judge(disk.hard.term === term && disk.hard.vote === to, `${from}: grants a vote that is not on its disk`)
    const name = `${from}@${term}`
    judge(this.#votes.get(name) === undefined || this.#votes.get(name) === to, `${from}: votes twice in ${term}`)
    this.#votes.set(name, to)
  }

  readAsked(ticket: number): void {
    this.#asked.set(ticket, this.commit)
  }

  /** Linearizable: a read sees all that was committed before it was asked. */
  readGranted(ticket: number, index: Index): void {
    const asked = this.#asked.get(ticket)
    if (asked === undefined) return
    judge(index >= asked, `a read asked at ${asked} is served at ${index}`)
    this.#asked.delete(ticket)
    this.reads++
  }

  restarted(member: Member): void {
    this.#commits.set(member.key, 0)
    const { hard } = member.disk
    judge(hard.term >= 0, 'a term is on the disk')
    this.#terms.set(member.key, hard.term)
  }

  /** What the disk has lost in a crash is not what was promised. */
  lookAtMark(member: Member): void {
    for (let at = 1; at < member.disk.blocks.length; at++) {
      judge(member.disk.blocks[at]!.first === lastOf(member.disk.blocks[at - 1]!) + 1, 'a disk is contiguous')
    }
  }
}

function judge(holds: boolean, text: string): void {
  if (!holds) throw new Error(text)
}
