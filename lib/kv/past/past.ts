// The past of the key-value machine: what stood at earlier revisions, and what changed since.
import type { LogReader } from '../../machine/machine.ts'
import type { Index } from '../../raft/types.ts'
import type { Changes, ChangesAsked } from './changes.ts'
import { Lookup, type LookupParts } from './lookup.ts'
import { type ChangesParts, OpenChanges } from './open-changes.ts'
import { RecordReader } from './record-reader.ts'

export type PastParts = Omit<LookupParts, 'records'> & Pick<ChangesParts, 'env'>

export class Past {
  readonly records: RecordReader
  readonly lookup: Lookup
  readonly #parts: PastParts

  constructor(parts: PastParts) {
    this.#parts = parts
    this.records = new RecordReader(parts.level, parts.table)
    this.lookup = new Lookup({ ...parts, records: this.records })
  }

  lend(log: LogReader): void {
    this.records.lend(log)
  }

  /** `settled`: it is known what can be read while the log begins after this record. */
  changes(asked: ChangesAsked, settled: () => Index): Changes {
    const { records, lookup } = this
    return new OpenChanges({ ...this.#parts, records, lookup, settled }, asked)
  }
}
