// The cluster of a key-value client, as `db.cluster`: with what belongs to the store as a whole.
import { packCommand } from '../wire/kv/commands.ts'
import { plainAnswer } from './answers.ts'
import { Cluster } from './cluster.ts'
import type { Corner } from './corner.ts'
import type { KvSession } from './kv-session.ts'
import { checkNames, countOf, known, type WriteOptions } from './options.ts'

export class KvCluster extends Cluster {
  readonly #session: KvSession
  readonly #corner: Corner

  /** Made by the client. */
  constructor(session: KvSession, corner: Corner) {
    super(session.ask)
    this.#session = session
    this.#corner = corner
  }

  /**
   * Lets go of the past: what stood at `revision` and later can still be read, and what changed after it. Gives the present
   * revision. Rejects with FUTURE_REVISION where there is no such revision yet, with COMPACTED where that was done before.
   */
  compact(revision: number, options: WriteOptions = {}): Promise<{ readonly revision: number }> {
    return this.#session.attempt(() => {
      checkNames(options, known.increment)
      const command = packCommand({ op: 'compact', revision: countOf(revision, 'revision', 1) })
      return this.#session.sendWrite({ read: plainAnswer, corner: this.#corner, command, contentBytes: 0 }, options)
    })
  }
}
