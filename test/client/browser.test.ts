// The client as a web page gets it: small, and without anything that only Node has.
import { gzipSync } from 'node:zlib'
import { t } from 'tap'
import { bundle } from '../help/bundle.ts'

const bytesMax = 40_960

t.test('the client bundles for a page, and stays small', async t => {
  const { text, files } = await bundle(`export * from './lib/client/browser.ts'`)
  const bytes = gzipSync(text, { level: 9 }).length
  t.comment(`the client of a page takes ${(bytes / 1024).toFixed(1)} KiB, gzipped`)
  t.ok(bytes < bytesMax, `${bytes} bytes`)
  const own = files
  t.same(
    own.filter(
      file => !/^lib\/(base|client|record|transport|wire|machine|raft\/types)/.test(file) && file !== '<stdin>'
    ),
    [],
    'nothing comes from elsewhere'
  )
})

t.test('a bundle of what needs Node would be refused', async t => {
  await t.rejects(bundle(`export * from './lib/client/client.ts'`), /Could not resolve "node:/)
})
