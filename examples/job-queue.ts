// A queue of jobs: each is done by one worker at a time, and its result is written once, also where a worker is halted in the
// middle and wakes up after another one has taken over.
import { type Client, cmp, connect, op, StrettoError } from 'stretto'

const endpoints = (process.env['STRETTO_ENDPOINTS'] ?? '127.0.0.1:7001').split(',')
await using db = connect(endpoints, { valueEncoding: 'json' })

interface Job {
  readonly numbers: readonly number[]
}

async function add(id: string, job: Job): Promise<void> {
  const { succeeded } = await db
    .txn()
    .if(cmp(`jobs/${id}`).absent())
    .then(op.put(`jobs/${id}`, job))
    .commit()
  if (!succeeded) console.log('there already:', id)
}

/** Takes a job that nobody works at, does it, and moves it to the results. False where there is none. */
async function work(db: Client<unknown>, name: string): Promise<boolean> {
  for await (const { key, value } of db.range({ prefix: 'jobs/' })) {
    const id = key.slice('jobs/'.length)
    try {
      await using lock = await db.lock(`job ${id}`, { ttl: 5000, wait: 0 })
      const sum = (value as Job).numbers.reduce((one, other) => one + other)
      lock.check()
      // Fenced, and only while the job is there: another worker may have done it between the list and the lock.
      await db.put(`taken/${id}`, name, { fencing: lock })
      const done = await db
        .txn()
        .if(cmp(key).exists(), cmp(`taken/${id}`).value.eq(name))
        .then(op.delete(key), op.delete(`taken/${id}`), op.put(`results/${id}`, sum), op.add('done'))
        .commit()
      if (done.succeeded) return true
    } catch (error) {
      // Somebody else is at it: the next one.
      if (!(error instanceof StrettoError && error.code === 'CONDITION_FAILED')) throw error
    }
  }
  return false
}

for (let id = 1; id <= 6; id++) await add(String(id), { numbers: [id, id * 10] })
await add('1', { numbers: [0] })
const workers = ['ada', 'bob', 'eve'].map(async name => {
  while (await work(db, name));
})
await Promise.all(workers)
const results: unknown[] = []
for await (const { value } of db.range({ prefix: 'results/' })) results.push(value)
console.log('results:', results.join(' '))
console.log('done:', (await db.get('done'))?.value)
await db
  .txn()
  .then(op.deleteRange({ prefix: 'results/' }), op.deleteRange({ prefix: 'taken/' }), op.delete('done'))
  .commit()
