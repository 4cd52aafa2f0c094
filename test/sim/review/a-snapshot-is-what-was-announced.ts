// Each piece of a snapshot may be sound and of the right record, and the whole yet be another state: its check value tells.

import type { SnapshotSource, StateMachine } from '../../../lib/machine/machine.ts'
import { fromMemoryMachine } from '../../../lib/machine/memory-machine.ts'
import { MemoryVault } from '../../../lib/machine/vault.ts'
import { type Piece, SnapshotReceiver } from '../../../lib/node/snapshot-receiver.ts'
import type { LogId, MemberKey, SnapshotMeta } from '../../../lib/raft/types.ts'
import { hold } from '../../../lib/sim/ghost/violation.ts'
import { keyOf, membershipOf } from '../../help/core-cluster.ts'
import { Tally } from '../../help/tally.ts'

const last: LogId = { term: 1, index: 5 }
const from: MemberKey = keyOf(1)

/** A snapshot with one command is announced, and one of the same size with another command comes; then the right one. */
export function scenario(): void {
  const turns: (() => void)[] = []
  const env = { soon: (turn: () => void) => void turns.push(turn) }
  const rest = (): void => {
    for (let turn = turns.shift(); turn !== undefined; turn = turns.shift()) turn()
  }
  const machine = (tally: Tally): StateMachine => fromMemoryMachine(tally, new MemoryVault(env), env)
  const snapshotOf = (command: string): { source: SnapshotSource; bytes: Uint8Array } => {
    const tally = new Tally()
    tally.apply(Buffer.from(command))
    const made = machine(tally)
    let source: SnapshotSource | null = null
    let bytes = new Uint8Array(0)
    made.flush(last, new Uint8Array(0), () => made.snapshot((_, frozen) => void (source = frozen)))
    rest()
    source!.read(0, source!.size, (_, read) => void (bytes = new Uint8Array(read)))
    rest()
    return { source: source!, bytes }
  }
  let installed = 0
  const found: string[] = []
  const receiver = new SnapshotReceiver({
    state: () => 0,
    place: (_, done) => {
      const close = (closed: (error: Error | null) => void): void => closed(null)
      done(null, { sink: machine(new Tally()).restore(), keep: close, discard: close })
    },
    received: () => installed++,
    found: line => void found.push(line)
  })
  const [announced, other] = [snapshotOf('one'), snapshotOf('two')]
  const { size, hash } = announced.source
  const chained = { ...last, chain: 9 }
  const meta: SnapshotMeta = { last: chained, membership: membershipOf([1, 2]), machineVersion: 1, size, hash }
  const take = (bytes: Uint8Array): string | null => {
    let refused: string | null = null
    const piece: Piece = { last, offset: 0, bytes }
    receiver.offered({ from, meta })
    receiver.piece(from, piece, error => void (refused = error?.code ?? null))
    rest()
    return refused
  }
  const refused = take(other.bytes)
  hold(installed === 0, 'IA3', () => 'another state is installed than was announced')
  hold(refused === 'CORRUPT' && found.length === 1, 'IX1', () => `the sender is told ${refused}`)
  hold(take(announced.bytes) === null && installed === 1, 'IL3', () => 'what was announced is not installed')
}
