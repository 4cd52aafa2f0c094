// Asks the machine of a running node, as an application does that embeds one: `EmbeddedNode.query`, without a link between.
import { StrettoError } from '../../base/errors.ts'
import type { SimCluster } from '../cluster.ts'
import type { SimNode } from '../node/sim-node.ts'
import { type Caller, callMsMax } from '../workload.ts'

/** `stale`: whatever the node has. */
export type QueryConsistency = 'linearizable' | 'stale'

/** What the machine has thrown itself: the question has reached it, in the state of its turn. */
export class RefusedQuestion extends Error {
  readonly fault: StrettoError

  constructor(fault: StrettoError) {
    super(fault.message)
    this.fault = fault
  }

  toJSON(): string {
    return `refused: ${this.fault.code}`
  }
}

/** A node that does not answer is left for another after so long. */
const nodePatienceMs = 500
/** Where no node runs, it is looked again after so long. */
const restMs = 20

/**
 * The answer of a node that chance picks; of another one where that is not to be had in time.
 * @throws RefusedQuestion, StrettoError UNAVAILABLE
 */
export async function askRunning(
  cluster: SimCluster,
  caller: Caller,
  question: Uint8Array,
  consistency: QueryConsistency
): Promise<Uint8Array> {
  const { world } = cluster
  const deadline = world.now + callMsMax
  let fault = new StrettoError('UNAVAILABLE', 'no node is running')
  for (;;) {
    const left = deadline - world.now
    if (left <= 0) throw fault
    const { running } = cluster
    if (running.length === 0) {
      await caller.sleep(Math.min(restMs, left))
      continue
    }
    try {
      const node = running[caller.random.below(running.length)]!
      return await ask(node, caller, question, consistency, Math.min(nodePatienceMs, left))
    } catch (error) {
      if (!(error instanceof StrettoError)) throw error
      fault = error
      await caller.sleep(1)
    }
  }
}

/** Question and answer each are an event of the process that they come to. */
function ask(
  { id, life, node, machine, parts: { world } }: SimNode,
  caller: Caller,
  question: Uint8Array,
  consistency: QueryConsistency,
  patienceMs: number
): Promise<Uint8Array> {
  const bytes = new Uint8Array(question)
  const point = consistency === 'stale' ? 'local' : 'linearizable'
  return new Promise((resolve, reject) => {
    const refuse = (error: Error): void => void world.after(0, caller.life, () => reject(error))
    world.after(0, life, () => {
      node!.read({ point, leastIndex: 0, patienceMs, enough: null }, error => {
        if (error !== null) return refuse(error)
        machine!.query(bytes, (thrown, answer) => {
          if (thrown === null) world.after(0, caller.life, () => resolve(answer))
          else refuse(thrown instanceof StrettoError ? new RefusedQuestion(thrown) : thrown)
        })
      })
    })
    const late = new StrettoError('UNAVAILABLE', `${id} has not answered in ${Math.round(patienceMs)} ms`)
    world.after(patienceMs, caller.life, () => reject(late))
  })
}
