// A client turns `notAfter` into a cluster time once: an attempt that is sent again must not win more time by that.
import type { StrettoError } from '../../../lib/base/errors.ts'
import { Client } from '../../../lib/client/kv-client.ts'
import { keyValueMachines } from '../../../lib/sim/ghost/machines.ts'
import { hold } from '../../../lib/sim/ghost/violation.ts'
import { Caller } from '../../../lib/sim/workload.ts'
import { Scene } from '../../help/scene.ts'

/**
 * The leader is cut off from the others and takes a write that may be applied within half a second; its record will be
 * overwritten. Then the client is cut off too. Ten seconds later all is well, another leads, and the client tries again.
 */
export async function scenario(): Promise<void> {
  const scene = new Scene({ seed: 122, nodes: 3, machine: keyValueMachines })
  const { cluster } = scene
  const leader = await scene.elect()
  const caller = new Caller(cluster, 1)
  const store = new Client<string>(caller.parts, cluster.endpoints, { timeout: 30_000 })
  let written = false
  store.put('k', 'before').then(
    () => void (written = true),
    (error: Error) => cluster.fail(error)
  )
  await scene.until('IL5', 'a write is answered', () => written)

  scene.isolate(leader)
  const outcome: { fate: string | null } = { fate: null }
  store.put('k', 'late', { notAfter: 500 }).then(
    () => void (outcome.fate = 'applied'),
    (error: StrettoError) => void (outcome.fate = error.fate)
  )
  await scene.pass(100)
  const ids = cluster.nodes.map(({ id }) => id)
  cluster.wires.cut([caller.host], ids)
  cluster.wires.cut(ids, [caller.host])
  await scene.pass(10_000)
  hold(outcome.fate === null, 'IX1', () => `it is answered too early: ${outcome.fate}`)
  cluster.wires.heal()
  await scene.until('IL5', 'a write is answered', () => outcome.fate !== null)
  hold(outcome.fate === 'not-applied', 'IO1', () => `long after its deadline it is ${outcome.fate}`)
}
