// One worker of several does the work, and another one goes on when it is gone.
import { connect } from 'stretto'

const endpoints = (process.env['STRETTO_ENDPOINTS'] ?? '127.0.0.1:7001').split(',')

/** In life, each of these is a process of its own. */
async function worker(name: string, ticks: number): Promise<void> {
  await using db = connect(endpoints)
  // Resolves when this worker leads. Should the process die, the next one leads once the lease has ended, 2 s later.
  await using leadership = await db.election('scheduler').campaign(name, { ttl: 2000 })
  console.log(name, 'leads')
  for (let tick = 0; tick < ticks; tick++) {
    // Aborted before the lease can have ended: nothing more is begun then.
    if (leadership.signal.aborted) return
    // And what was begun too late is refused by the store itself: FENCED.
    const { revision } = await db.put('scheduler/tick', `${name} ${tick}`, { fencing: leadership })
    if (tick === 0) console.log(name, 'works, and the store agrees:', revision > leadership.fencingToken)
  }
  console.log(name, 'resigns')
}

await using db = connect(endpoints)
const observing = (async () => {
  const leaders: string[] = []
  for await (const leader of db.election('scheduler').observe()) {
    if (leader !== null) leaders.push(leader.value)
    if (leaders.length === 2) return leaders
  }
  return leaders
})()
await Promise.all([worker('ada', 3), worker('bob', 3)])
console.log('seen by others:', (await observing).toSorted().join(' and '))
await db.delete('scheduler/tick')
