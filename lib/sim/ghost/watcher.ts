// Who looks on while a cluster runs: the ghost state that judges it, and the trace that shows it. Nothing tells the nodes.
import type { Envelope } from '../../raft/message.ts'
import type { Index, MemberKey, Term } from '../../raft/types.ts'

export interface Watcher {
  /** A message leaves its sender, whatever becomes of it. */
  sent(envelope: Envelope): void
  /** It arrives; twice where the network has doubled it. */
  delivered(envelope: Envelope): void
  /** It will not arrive: the network, or a process that is not there. */
  dropped(envelope: Envelope, why: string): void
  /** A node tells a client that this record is applied. */
  answered(node: MemberKey, term: Term, index: Index): void
}
