// Fencing as a property: holders of a lock are halted, cut off and outlived by leaders, and what they write stays in the order
// of their tokens (IF2).
import { deepStrictEqual, ok } from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import { StrettoError } from '../../lib/client/client.ts'
import { type SimClient, SimClients } from '../help/sim-clients.ts'

t.setTimeout(120_000)

/** `client` -1: who holds the lock, or held it last. */
type Trouble =
  | { readonly kind: 'halt' | 'cut'; readonly client: number; readonly ms: number }
  | { readonly kind: 'crash'; readonly ms: number }
  | { readonly kind: 'rest'; readonly ms: number }

const troubleArbitrary: fc.Arbitrary<Trouble> = fc.oneof(
  fc.record({
    kind: fc.constantFrom('halt' as const, 'cut' as const),
    client: fc.integer({ min: -1, max: 2 }),
    ms: fc.constantFrom(300, 1200, 2500)
  }),
  fc.record({ kind: fc.constant('crash' as const), ms: fc.constantFrom(500, 3000) }),
  fc.record({ kind: fc.constant('rest' as const), ms: fc.constantFrom(20, 200, 1000) })
)

const ends = new Map<string, number>()

function ended(how: string): void {
  ends.set(how, (ends.get(how) ?? 0) + 1)
}

interface Bench {
  readonly sim: SimClients
  holder: SimClient | null
  over: boolean
}

/** Takes the lock again and again, and writes under it without looking whether it still has it: the store has to. */
async function contend(client: SimClient, bench: Bench): Promise<void> {
  const { db, name } = client
  const { world } = bench.sim.cluster
  while (!bench.over) {
    try {
      const lock = await db.lock('l', { ttl: 1500, wait: 20_000 })
      bench.holder = client
      for (let write = 0; write < 6; write++) {
        await new Promise<void>(resolve => void world.after(20, client.life, resolve))
        await db.put('guarded', String(lock.fencingToken), { fencing: lock, timeout: 10_000 })
        await db.put(`rest/${name}`, '', { timeout: 10_000 })
      }
      await lock.release()
      ended('released')
    } catch (error) {
      if (!(error instanceof StrettoError)) throw error
      ended(error.code)
    }
  }
}

void t.test('what older holders write is refused once a newer one holds the lock', async t => {
  const property = fc.asyncProperty(
    fc.integer({ min: 1, max: 1_000_000 }),
    fc.array(troubleArbitrary, { minLength: 2, maxLength: 5 }),
    async (seed, troubles) => {
      const sim = await new SimClients(seed).found()
      const clients = await sim.clients(3)
      const judge = sim.client()
      const written: { readonly revision: number; readonly token: number }[] = []
      const controller = new AbortController()
      const watching = (async () => {
        for await (const { revision, changes } of judge.db.watch({ key: 'guarded', signal: controller.signal })) {
          for (const { entry } of changes) written.push({ revision, token: Number(entry.value) })
        }
      })()
      watching.catch(() => {})
      const bench: Bench = { sim, holder: null, over: false }
      const contending = clients.map(client => contend(client, bench))
      const { fabric, world, nodes } = sim.cluster
      const victim = (at: number): SimClient => clients[at] ?? bench.holder ?? clients[0]!
      await sim.rest(100)
      for (const trouble of troubles) {
        if (trouble.kind === 'halt') sim.halt(victim(trouble.client), trouble.ms)
        if (trouble.kind === 'cut') {
          const { name } = victim(trouble.client)
          for (const { id } of nodes) fabric.cut(name, id)
          world.after(trouble.ms, null, () => {
            for (const { id } of nodes) fabric.heal(name, id)
          })
        }
        if (trouble.kind === 'crash') {
          const { leader } = sim.cluster
          leader?.crash('power')
          if (leader !== null) world.after(trouble.ms, null, () => leader.start())
        }
        await sim.rest(trouble.kind === 'rest' ? trouble.ms : trouble.ms + 300)
      }
      await sim.rest(4500)
      const before = written.length
      await sim.rest(1500)
      ok(written.length > before, 'when all is well again, the lock goes round')
      bench.over = true
      await sim.end(Promise.all(contending))
      await sim.rest(500)
      controller.abort()
      const tokens = written.map(({ token }) => token)
      deepStrictEqual(
        tokens,
        tokens.toSorted((a, b) => a - b)
      )
    }
  )
  const halts = [0, 40].flatMap(ms => [{ kind: 'rest', ms } as const, { kind: 'halt', client: -1, ms: 2500 } as const])
  await fc.assert(property, { numRuns: 4, examples: [[7, halts]] })
  t.comment(JSON.stringify([...ends]))
  t.ok((ends.get('released') ?? 0) > 0)
  t.ok((ends.get('FENCED') ?? 0) > 0, 'somebody wrote too late')
})
