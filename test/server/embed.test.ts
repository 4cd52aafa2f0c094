// Embedding: three nodes of an application's own machine in one process, on real sockets and disks.
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ClassicLevel } from 'classic-level'
import { t } from 'tap'
import { type EmbeddedNode, type MemoryMachine, startNode } from '../../lib/server/embed.ts'

/** Counts what it is told to add; the answer is the sum. Refuses what is no number. */
class Counter implements MemoryMachine {
  #sum = 0

  apply(command: Uint8Array): Uint8Array {
    const by = Number(Buffer.from(command).toString())
    if (!Number.isSafeInteger(by)) throw new Error('not a number')
    this.#sum += by
    return Buffer.from(String(this.#sum))
  }

  query(): Uint8Array {
    return Buffer.from(String(this.#sum))
  }

  save(): Uint8Array {
    return this.query()
  }

  load(bytes: Uint8Array): void {
    this.#sum = Number(Buffer.from(bytes).toString())
  }
}

const text = (bytes: Uint8Array | null): string => Buffer.from(bytes ?? []).toString()

/** Addresses on loopback that nobody uses now. */
async function freeAddresses(count: number): Promise<string[]> {
  const servers = await Promise.all(
    Array.from({ length: count }, () => {
      const server = createServer()
      return new Promise<typeof server>(resolve => server.listen(0, '127.0.0.1', () => resolve(server)))
    })
  )
  const addresses = servers.map(server => {
    const address = server.address()
    return `127.0.0.1:${typeof address === 'object' && address !== null ? address.port : 0}`
  })
  await Promise.all(servers.map(server => new Promise(resolve => server.close(resolve))))
  return addresses
}

t.test("a machine of one's own is replicated, survives a stopped leader and a restart of all", async t => {
  const folder = mkdtempSync(join(tmpdir(), 'stretto-embed-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  const addresses = await freeAddresses(3)
  const cluster = Object.fromEntries(addresses.map((address, at) => [`n${at + 1}`, address]))
  const startOne = (id: string): Promise<EmbeddedNode> =>
    startNode({ id, dataDir: join(folder, id), cluster, machine: new Counter() })
  let nodes = await Promise.all(Object.keys(cluster).map(startOne))
  const sums = await Promise.all([1, 2, 3, 4].map(by => nodes[0]!.propose(Buffer.from(String(by)))))
  t.same(
    sums.map(({ answer }) => text(answer)),
    ['1', '3', '6', '10'],
    'in call order, each answered'
  )
  for (const node of nodes) t.equal(text(await node.query(new Uint8Array(0))), '10')
  await t.rejects(nodes[1]!.propose(Buffer.from('x')), { code: 'BAD_REQUEST', fate: 'not-applied' })

  const leader = nodes.find(node => node.status().role === 'leader')!
  const others = nodes.filter(node => node !== leader)
  const told = new Promise<unknown>(resolve => {
    others[0]!.on('leader', id => {
      if (id !== null) resolve(id)
    })
  })
  await leader.stop()
  t.type(await told, 'string', 'the others hear of the next leader')
  t.equal(text((await others[0]!.propose(Buffer.from('5'))).answer), '15')
  await Promise.all(others.map(node => node.stop()))

  nodes = await Promise.all(Object.keys(cluster).map(startOne))
  for (const node of nodes) t.equal(text(await node.query(new Uint8Array(0))), '15', 'all is there again')
  await Promise.all(nodes.map(node => node.stop()))
})

t.test(
  'a disk that refuses one write begins another life, and the machine begins with it from where it stood',
  async t => {
    const folder = mkdtempSync(join(tmpdir(), 'stretto-embed-'))
    t.teardown(() => rmSync(folder, { recursive: true, force: true }))
    const [listen] = await freeAddresses(1)
    const node = await startNode({ id: 'n1', listen: listen!, dataDir: folder, machine: new Counter() })
    await node.propose(Buffer.from('5'))
    const { batch } = ClassicLevel.prototype
    let refusals = 1
    const refuseOnce = function refuseOnce(this: ClassicLevel, ...args: unknown[]): unknown {
      if (refusals === 0 || !this.location.endsWith('log')) return Reflect.apply(batch, this, args)
      refusals--
      return Promise.reject(new Error('IO error: no space left on device'))
    }
    Object.defineProperty(ClassicLevel.prototype, 'batch', { value: refuseOnce, configurable: true })
    t.teardown(() => Reflect.deleteProperty(ClassicLevel.prototype, 'batch'))
    t.equal(
      text((await node.propose(Buffer.from('2'))).answer),
      '7',
      'the log was replayed into an empty machine, once'
    )
    t.equal(refusals, 0)
    await node.stop()
  }
)

t.test('options are checked', async t => {
  const machine = new Counter()
  await t.rejects(startNode({ id: 'No', dataDir: '/tmp/unused', machine }), { name: 'UsageError' })
  await t.rejects(startNode({ id: 'n1', listen: 'x', dataDir: '/tmp/unused', machine }), { name: 'UsageError' })
})
