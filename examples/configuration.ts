// Configuration that every process has at hand: a typed corner of the store, checked on the way in, and a mirror of it.
import { type Codec, connect, StrettoError } from 'stretto'

const endpoints = (process.env['STRETTO_ENDPOINTS'] ?? '127.0.0.1:7001').split(',')
await using db = connect(endpoints)

interface Settings {
  readonly theme: 'dark' | 'light'
  readonly pageSize: number
}

// Any validator of the Standard Schema kind (zod, valibot, arktype) takes the place of this by itself.
const settings: Codec<Settings> = {
  encode: value => new TextEncoder().encode(JSON.stringify(check(value))),
  decode: bytes => check(JSON.parse(new TextDecoder().decode(bytes)) as Settings)
}

function check(value: Settings): Settings {
  if (value.pageSize < 1) throw new StrettoError('BAD_REQUEST', 'pageSize: at least 1')
  return value
}

const config = db.sub('config/', settings)
await config.put('web', { theme: 'light', pageSize: 20 })

// In each process: reads are local, and a change is here milliseconds after it was made, whatever happened to links meanwhile.
await using mirror = await config.mirror()
console.log('web shows', mirror.get('web')?.value.pageSize, 'rows')

const changed = new Promise<void>(resolve => {
  mirror.on('change', changes => {
    for (const { type, entry } of changes) console.log(type, entry.key, JSON.stringify(entry.value))
    resolve()
  })
})
await config.update('web', value => ({ ...(value ?? { theme: 'light' }), pageSize: 50 }))
await changed
console.log('web shows', mirror.get('web')?.value.pageSize, 'rows')

try {
  await config.put('web', { theme: 'dark', pageSize: 0 })
} catch (error) {
  console.log('refused:', (error as StrettoError).message)
}
await mirror.close()
await config.deleteRange({ prefix: '' })
