// What a message is about, for its colour and its filter; an append or an answer which says nothing new is a heartbeat.
import { assert, unreachable } from '../../base/assert.ts'
import type { Append, AppendReply, Envelope } from '../../raft/message.ts'
import type { Index, Term } from '../../raft/types.ts'
import type { MessageKind } from './events.ts'

/** What one node has said to another last, by an append or by the answer to one. */
interface Said {
  readonly kind: Append['kind'] | AppendReply['kind']
  readonly term: Term
  readonly round: number
  /** Where the logs meet: the record before an append, or the last that matches. */
  readonly place: Index
  readonly commit: Index
}

export class Novelty {
  readonly #said = new Map<string, Said>()

  kindOf(envelope: Envelope): MessageKind {
    const { message } = envelope
    switch (message.kind) {
      case 'vote':
      case 'vote-reply':
      case 'timeout-now':
        return 'vote'
      case 'read-index':
      case 'read-index-reply':
        return 'read'
      case 'snapshot':
      case 'snapshot-reply':
        return 'snapshot'
      case 'append':
        return this.#hear(envelope, message.prev.index, message.commit, message.blocks.length > 0)
      case 'append-reply':
        return this.#hear(envelope, message.match, 0, message.reject !== null)
      default:
        return unreachable(message)
    }
  }

  /** What brings nothing by itself is news only by its place in the log, its commit index or its read round. */
  #hear(envelope: Envelope, place: Index, commit: Index, brings: boolean): MessageKind {
    const { from, to, term, message } = envelope
    assert(message.kind === 'append' || message.kind === 'append-reply', 'only appends and their answers have news')
    const pair = `${from}>${to}`
    const before = this.#said.get(pair)
    const { kind, round } = message
    this.#said.set(pair, { kind, term, round, place, commit })
    if (brings || before === undefined || before.term !== term || before.kind !== kind) return 'append'
    if (before.place !== place || before.commit !== commit) return 'append'
    return before.round === round ? 'heartbeat' : 'read'
  }
}
