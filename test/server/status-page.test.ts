// The status page's script, run before a document of a few lines: what it shows, and what it does when the node is gone.
import { setImmediate as turn } from 'node:timers/promises'
import { createContext, runInContext } from 'node:vm'
import { t } from 'tap'
import { statusPage } from '../../lib/server/status-page.ts'

/** As much of an element as the page uses. */
class FakeElement {
  readonly name: string
  readonly children: FakeElement[] = []
  readonly attributes = new Map<string, string>()
  className = ''
  href = ''
  #text = ''

  constructor(name: string) {
    this.name = name
  }

  get textContent(): string {
    return this.#text + this.children.map(child => child.textContent).join(' ')
  }

  set textContent(text: string) {
    this.children.length = 0
    this.#text = text
  }

  append(...more: FakeElement[]): void {
    this.children.push(...more)
  }

  replaceChildren(...others: FakeElement[]): void {
    this.children.splice(0, this.children.length, ...others)
  }

  setAttribute(name: string, value: string): void {
    this.attributes.set(name, value)
  }
}

class FakePage {
  readonly elements = new Map<string, FakeElement>()
  readonly document = {
    title: '',
    hidden: false,
    getElementById: (id: string) => this.elements.get(id) ?? null,
    createElement: (name: string) => new FakeElement(name)
  }
  answer: () => Promise<object> = async () => ({})
  now = 0
  #wake: (() => void) | null = null
  waitMs = 0

  constructor() {
    for (const [, id] of statusPage.matchAll(/ id="([a-z]+)"/g)) this.elements.set(id!, new FakeElement(id!))
    const script = /<script>([\s\S]*?)<\/script>/.exec(statusPage)![1]!
    const setTimeout = (wake: () => void, ms: number) => {
      this.#wake = wake
      this.waitMs = ms
    }
    const fetch = (path: string) =>
      this.answer().then(body => ({ ok: path === '/status', status: 404, json: async () => body }))
    const context = { document: this.document, performance: { now: () => this.now }, fetch, setTimeout, AbortSignal }
    this.start = () => runInContext(script, createContext(context))
  }

  readonly start: () => unknown

  text(id: string): string {
    return this.elements.get(id)!.textContent
  }

  /** Until the script has shown an answer and waits for the next. */
  async settled(): Promise<void> {
    while (this.#wake === null) await turn()
  }

  async next(ms: number): Promise<void> {
    this.now += ms
    const wake = this.#wake
    this.#wake = null
    wake?.()
    await this.settled()
  }
}

const status = {
  clusterId: '0123456789abcdef',
  id: 'n2',
  role: 'follower',
  leader: 'n1',
  term: 1_234,
  firstIndex: 1,
  lastIndex: 5_000,
  durableIndex: 5_000,
  commitIndex: 4_999,
  appliedIndex: 4_999,
  revision: 777,
  trusted: true,
  ready: true,
  reasons: [] as string[],
  members: [
    { id: 'n1', address: '127.0.0.1:7001', role: 'voter', incarnation: 'aaaaaaaa00000000' },
    { id: 'n2', address: '127.0.0.1:7002', role: 'voter', incarnation: 'bbbbbbbb00000000' }
  ],
  logBytes: 1_572_864,
  stateBytes: 512,
  rssBytes: 104_857_600,
  uptimeMs: 3_725_000,
  version: '0.1.0',
  insecure: false
}

t.test('it shows what the node says, and the rate between two answers', async t => {
  const page = new FakePage()
  page.answer = async () => status
  page.start()
  await page.settled()
  t.equal(page.document.title, 'n2 · follower · stretto')
  t.equal(page.text('id'), 'n2')
  t.equal(page.elements.get('role')!.className, 'badge good')
  t.equal(page.text('cluster'), 'cluster 0123456789ab')
  t.equal(page.text('consensus'), 'Leader n1 Term 1,234 Log 1 to 5,000 Durable 5,000 Committed 4,999 Applied 4,999')
  t.equal(page.text('node'), 'Revision 777 Log on disk 1.5 MiB State 512 B Memory 100 MiB Up for 1h 2m')
  t.equal(
    page.text('members'),
    'n1 (leader) 127.0.0.1:7001 voter aaaaaaaa n2 (this node) 127.0.0.1:7002 voter bbbbbbbb'
  )
  t.equal(page.elements.get('members')!.children[0]!.children[1]!.children[0]!.href, 'http://127.0.0.1:7001/')
  t.equal(page.text('trouble'), '')
  page.answer = async () => ({ ...status, appliedIndex: 6_999 })
  await page.next(2_000)
  t.equal(page.text('rate'), '1,000')
  t.match(page.elements.get('spark')!.attributes.get('points'), /^119,2\.0$/)
  t.equal(page.waitMs, 1_000)
})

t.test('it says what is wrong, and that a node is gone', async t => {
  const page = new FakePage()
  const reasons = ['no leader is known']
  page.answer = async () => ({
    ...status,
    leader: null,
    clusterId: '',
    ready: false,
    reasons,
    trusted: false,
    insecure: true
  })
  page.start()
  await page.settled()
  t.equal(page.elements.get('role')!.className, 'badge warn')
  t.match(page.text('trouble'), /^no leader is known · the log is not the one .* · started with --insecure/)
  t.match(page.text('consensus'), /^Leader none/)
  t.equal(page.text('cluster'), 'not founded yet')
  page.answer = () => Promise.reject(new Error('gone'))
  await page.next(1_000)
  t.equal(page.text('role'), 'out of reach')
  t.match(page.text('trouble'), /does not answer/)
  page.answer = async () => status
  await page.next(1_000)
  t.equal(page.text('role'), 'follower')
  t.equal(page.text('trouble'), '')
})
