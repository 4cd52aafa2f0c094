// A path that is given up in the middle of a turn: what leaves in the same turn takes the next one, and is answered.
import { t } from 'tap'
import { ClientRig } from '../help/client-rig.ts'

t.test('calls of the turn in which an expired session is left are sent over a link that is up', async t => {
  const rig = new ClientRig()
  const db = await rig.readyClient()
  const { linksAccepted } = rig.node('n1')
  const patience = { timeout: 2000 }
  await rig.settled(db.put('k', 'v'))
  // The second session is opened at the time that the welcome of the leader has told, and so would the third be.
  for (const value of ['second', 'third']) {
    rig.cluster.store.horizon = rig.cluster.time
    rig.cluster.store.sessions.clear()
    // The answer to the first read comes with the refusal of the write, and what it lets follow leaves in the same turn.
    const reads = db.get('k', patience).then(async () => {
      return await Promise.allSettled([db.get('k', patience), db.range(patience).next()])
    })
    await rig.settled(db.put('k', value))
    t.match(await rig.settled(reads), [{ status: 'fulfilled' }, { status: 'fulfilled' }], value)
  }
  rig.time.run(1000)
  t.equal(rig.node('n1').linksAccepted, linksAccepted + 1, 'the link to the leader was given up and made again')
  await rig.settled(db.close())
})
