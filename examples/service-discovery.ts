// Services that say where they are for as long as they are, and clients that always know.
import { connect } from 'stretto'

const endpoints = (process.env['STRETTO_ENDPOINTS'] ?? '127.0.0.1:7001').split(',')

/** In life, each of these is a process of its own. */
async function serve(name: string, address: string): Promise<AsyncDisposable> {
  const db = connect(endpoints)
  // Kept alive by the client. Should the process die, the entry goes 2 s later.
  const lease = await db.lease({ ttl: 2000 })
  await db.put(`services/${name}/${address}`, address, { lease })
  return {
    async [Symbol.asyncDispose]() {
      await lease[Symbol.asyncDispose]()
      await db.close()
    }
  }
}

const first = await serve('mail', '10.0.0.1:25')
const second = await serve('mail', '10.0.0.2:25')

await using db = connect(endpoints)
await using services = await db.mirror({ prefix: 'services/mail/' })
const addresses = (): string => [...services].map(({ value }) => value).join(', ')
console.log('mail is served at', addresses())

const gone = new Promise<void>(resolve => services.on('change', () => resolve()))
await first[Symbol.asyncDispose]()
await gone
console.log('mail is served at', addresses())
await second[Symbol.asyncDispose]()
