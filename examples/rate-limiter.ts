// So many requests in a second for each user, whichever process they come to.
import { connect } from 'stretto'

const endpoints = (process.env['STRETTO_ENDPOINTS'] ?? '127.0.0.1:7001').split(',')
await using db = connect(endpoints)
const counts = db.namespace('rate/')

const requestsMax = 5
const windowMs = 1000

/** May this user go on? The count of a window goes by itself: its key has a ttl. */
async function admit(user: string, now = Date.now()): Promise<boolean> {
  const key = `${user}/${Math.floor(now / windowMs)}`
  return await counts.transact(async tx => {
    const count = Number((await tx.get(key))?.value ?? 0)
    if (count >= requestsMax) return false
    tx.put(key, String(count + 1), { ttl: 2 * windowMs })
    return true
  })
}

const now = Date.now()
const asked = await Promise.all(Array.from({ length: 8 }, () => admit('ada', now)))
console.log('admitted:', asked.filter(admitted => admitted).length, 'of', asked.length)
console.log('another user:', await admit('bob', now))
console.log('a second later:', await admit('ada', now + windowMs))
