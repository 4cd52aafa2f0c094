// All planted mutants, in the order in which the gate runs them.
import { clients } from './clients.ts'
import { divergence } from './divergence.ts'
import { elections } from './elections.ts'
import { fitness } from './fitness.ts'
import { leases } from './leases.ts'
import { liveness } from './liveness.ts'
import { membership } from './membership.ts'
import { memory } from './memory.ts'
import type { Mutant } from './mutant.ts'
import { replication } from './replication.ts'
import { review } from './review.ts'
import { room } from './room.ts'
import { snapshots } from './snapshots.ts'
import { state } from './state.ts'
import { upgrade } from './upgrade.ts'
import { watches } from './watches.ts'

export const planted: readonly Mutant[] = [
  ...elections,
  ...replication,
  ...memory,
  ...state,
  ...clients,
  ...leases,
  ...liveness,
  ...fitness,
  ...room,
  ...review,
  ...upgrade,
  ...divergence,
  ...membership,
  ...snapshots,
  ...watches
]

/** The codes that the simulator judges, each with at least one mutant. */
export const judged: readonly string[] = [
  'IS1 IS2 IS3 IS4 IS5 IS6 IS7 IS8 IS9 IS10 IP1 IP2 IP3 IC1 IC2 IA1 IA2 IA3 IA4 IA6 ID1 IX1 IK1 IO1',
  'IL1 IL2 IL3 IL4 IL5 IL6 IL7 IL8 IF1 IU1 IU2 IW1 IW2 IW3 IW4 IW5'
].flatMap(codes => codes.split(' '))
