// The public door over real sockets: `connect` with the real clock and WebSockets, against the model of a cluster.
import { performance } from 'node:perf_hooks'
import { t } from 'tap'
import { realEnv } from '../../lib/client/real-env.ts'
import { connect, StrettoError } from '../../lib/index.ts'
import type { Listener } from '../../lib/transport/net.ts'
import { WsNet } from '../../lib/transport/ws-net.ts'
import { clientMessageBytesMax, clientSubprotocol } from '../../lib/wire/client.ts'
import { ModelCluster, ModelLink, ModelNode } from '../help/model-cluster.ts'

async function listening(
  cluster: ModelCluster
): Promise<{ readonly port: number; readonly close: () => Promise<void> }> {
  const net = new WsNet({ env: realEnv(), messageBytesMax: clientMessageBytesMax, subprotocol: clientSubprotocol })
  const node = new ModelNode(cluster, 'n1', '127.0.0.1:1')
  const listener = await new Promise<Listener>((resolve, reject) => {
    net.listen(
      '127.0.0.1:0/v1',
      link => new ModelLink(node, link),
      (error, listener) => (error === null ? resolve(listener) : reject(error))
    )
  })
  const close = (): Promise<void> => new Promise(resolve => listener.close(() => resolve()))
  return { port: listener.port, close }
}

void t.test('a program of a few lines: write, read, stream, close', async t => {
  const cluster = new ModelCluster(() => performance.now())
  const { port, close } = await listening(cluster)
  {
    await using db = connect([`127.0.0.1:${port}`], { valueEncoding: 'json' })
    await db.ready()
    const calls = await Promise.all(
      Array.from({ length: 500 }, (_, at) => db.put(`k/${String(at).padStart(3, '0')}`, { at }))
    )
    t.same(
      calls.map(({ revision }) => revision),
      Array.from({ length: 500 }, (_, at) => at + 2)
    )
    t.match(await db.get('k/042'), { value: { at: 42 } })
    const keys: string[] = []
    for await (const entry of db.range({ prefix: 'k/', keysOnly: true })) keys.push(entry.key)
    t.equal(keys.length, 500)
    t.match(await db.increment('n', 2), { value: 2 })
    await t.rejects(db.put('k/000', {}, { ifAbsent: true }), { code: 'CONDITION_FAILED', fate: 'not-applied' })
  }
  await close()
})

void t.test('nobody listens: the call is not applied in time, and a malformed endpoint is told at once', async t => {
  const cluster = new ModelCluster(() => performance.now())
  const { port, close } = await listening(cluster)
  await close()
  const db = connect([`127.0.0.1:${port}`], { timeout: 200 })
  await t.rejects(db.put('k', 'v'), { code: 'TIMED_OUT', fate: 'not-applied', retryable: true })
  await db.close()
  t.throws(() => connect(['not an endpoint']), StrettoError)
})
