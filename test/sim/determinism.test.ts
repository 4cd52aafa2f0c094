// A run depends on its code, options and seeds, and on nothing around it: other processes come to the same digests.
import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { t } from 'tap'

t.setTimeout(180_000)
const program = fileURLToPath(new URL('../help/digests.ts', import.meta.url))
const run = promisify(execFile)

async function digests(flags: readonly string[], env: Record<string, string>): Promise<string> {
  const args = [...flags, '--import=tsx', program]
  const { stdout } = await run(process.execPath, args, { env: { ...process.env, ...env } })
  return stdout
}

t.test('two processes with different time zones, stacks and heaps come to the same digests', async t => {
  const [one, other] = await Promise.all([
    digests([], { TZ: 'UTC', LANG: 'C' }),
    digests(['--stack-size=1500', '--max-semi-space-size=2'], { TZ: 'Asia/Tokyo', LANG: 'de_DE.UTF-8' })
  ])
  t.match(one, /^shallow 1 [0-9a-f]{8} \d{4,} \d+ sound\n/)
  t.equal(one.trim().split('\n').length, 4)
  t.equal(one, other)
})
