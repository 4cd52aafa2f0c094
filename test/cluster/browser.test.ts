// The client in a real browser, against a real cluster whose leader is killed meanwhile.
import { t } from 'tap'
import { bundle } from '../help/bundle.ts'
import { chromiumFile, openPage, PageServer } from '../help/chromium.ts'
import { RealCluster } from '../help/real-cluster.ts'

t.setTimeout(120_000)

/** What runs in the page. `endpoints` is put before it. */
const script = `
import { connect } from './lib/client/browser.ts'
const tell = told => fetch('/told', { method: 'POST', body: JSON.stringify(told) })
try {
  const db = connect(endpoints, { timeout: '30s' })
  const { revision } = await db.put('greeting', 'from a page')
  const { value } = await db.get('greeting')
  const lock = await db.lock('page', { ttl: '10s' })
  const seen = []
  const watching = (async () => {
    for await (const { changes } of db.watch({ prefix: 'told/', fromRevision: revision })) {
      for (const { entry } of changes) seen.push(entry.value)
      if (seen.includes('last')) return
    }
  })()
  await tell({ step: 'wrote', revision, value, token: lock.fencingToken })
  let added = 0
  let stop = false
  const adding = (async () => {
    while (!stop) {
      await db.increment('count')
      added++
    }
  })()
  while ((await db.get('go-on')) === null) await db.put('seen', String(added))
  stop = true
  await adding
  await watching
  await db.put('held', 'yes', { fencing: lock })
  const held = !lock.signal.aborted
  await lock[Symbol.asyncDispose]()
  const keys = []
  for await (const entry of db.range({ prefix: '' })) keys.push(entry.key)
  await tell({ step: 'ended', added, seen, held, count: (await db.get('count')).value, keys })
  await db.close()
} catch (error) {
  await tell({ step: 'failed', text: String(error), stack: error.stack })
}
`

t.test(
  'a page writes, reads and goes on when the leader is killed',
  { skip: chromiumFile === null ? 'no Chromium here' : false },
  async t => {
    const page = await PageServer.start(t)
    const cluster = await RealCluster.start(t, { args: ['--allow-origin', page.origin] })
    page.serve((await bundle(`const endpoints = ${JSON.stringify(cluster.endpoints)}\n${script}`)).text)
    openPage(t, chromiumFile!, page.origin)
    t.match(await page.told(), { step: 'wrote', value: 'from a page', token: Number })
    const db = cluster.client()
    await db.put('told/a', 'before')
    const { id, term } = await cluster.leader()
    await cluster.node(id).kill()
    await cluster.leader(term)
    await t.rejects(
      db.lock('page', { ttl: '10s', wait: 0 }),
      { code: 'CONDITION_FAILED' },
      'the lock of the page outlives the leader'
    )
    await db.put('told/b', 'after')
    await db.put('told/a', 'last')
    t.equal((await db.get('greeting'))?.value, 'from a page')
    // Both of the page's loops have gone on since the leader has changed.
    const before = Number((await db.get('count'))!.value)
    while (Number((await db.get('count'))!.value) < before + 20) await db.put('waited', '')
    await db.put('go-on', 'yes')
    const ended = (await page.told()) as { step: string; added: number; count: string; keys: string[] }
    t.match(ended, { step: 'ended', seen: ['before', 'after', 'last'], held: true })
    t.strictSame(
      ended.keys.filter(key => !key.startsWith('told/')),
      ['count', 'go-on', 'greeting', 'held', 'seen', 'waited']
    )
    t.equal(String(ended.added), ended.count, 'each increment counted once')
  }
)
