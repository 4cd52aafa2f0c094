// The trace page: what it is made of, that nothing in a trace can break out of it, and its script before a fake browser.
import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { createContext, runInContext } from 'node:vm'
import fc from 'fast-check'
import { t } from 'tap'
import type { Message } from '../../lib/raft/message.ts'
import type { TraceEvent } from '../../lib/sim/trace/events.ts'
import { type TraceSummary, tracePage } from '../../lib/sim/trace/page.ts'
import { Trace } from '../../lib/sim/trace/trace.ts'
import { nodeAt, nodeLinesOf, rowsOf, spansOf, spansWithin } from '../../lib/sim/trace/view/model.ts'
import { packRecording, unpackRecording } from '../../lib/sim/trace/view/packing.ts'
import { keepWithin, moved, showing, ticksOf, zoomed } from '../../lib/sim/trace/view/scale.ts'
import { FakeBrowser, type FakeElement } from '../help/fake-browser.ts'

const keyOf = (node: number): string => `n${node}.${String(node).padStart(16, '0')}`
const vote: Message = { kind: 'vote', pre: false, force: false, round: 1, last: { term: 0, index: 0 } }
const granted: Message = { kind: 'vote-reply', pre: false, round: 1, granted: true, reason: null }
const heartbeat: Message = { kind: 'append', prev: { term: 0, index: 0 }, blocks: [], commit: 0, round: 0, time: 0 }

/** An election, a crash, a stall, a partition, a call, and a broken promise at 100 ms. */
function run(): Trace {
  const trace = new Trace({ nodes: [1, 2, 3].map(keyOf) })
  const say = (at: number, from: number, to: number, message: Message, fate: number | string): void => {
    const sent = trace.sent(at, { from: keyOf(from), to: keyOf(to), term: 1, message })
    if (typeof fate === 'string') trace.dropped(at, sent, fate)
    else later.push([fate, () => trace.delivered(fate, sent)])
  }
  const later: [number, () => void][] = []
  const settle = (until: number): void => {
    for (const [at, tell] of later.sort((a, b) => a[0] - b[0]).splice(0)) if (at <= until) tell()
  }
  for (const node of [1, 2, 3]) trace.life(0, keyOf(node), 'started')
  const status = { leader: null, commit: 0 } as const
  trace.look(10, keyOf(1), { role: 'candidate', term: 1, ...status }, 0)
  trace.fault(10, 'partition', 'n3 alone', [keyOf(3)], 60)
  say(10, 1, 2, vote, 14)
  say(10, 1, 3, vote, 'cut')
  settle(14)
  say(14, 2, 1, granted, 20)
  settle(20)
  trace.look(20, keyOf(1), { role: 'leader', term: 1, leader: keyOf(1), commit: 0 }, 0)
  trace.look(20, keyOf(2), { role: 'follower', term: 1, leader: keyOf(1), commit: 0 }, 0)
  const call = trace.called(21, 1, keyOf(1), 'put a=1')
  for (const at of [22, 32, 42]) {
    say(at, 1, 2, heartbeat, at + 3)
    settle(at + 3)
  }
  trace.look(50, keyOf(1), { role: 'leader', term: 1, leader: keyOf(1), commit: 2 }, 1)
  trace.answered(51, call, 'ok', 'revision 2')
  trace.life(60, keyOf(2), 'stalled', 80)
  trace.life(90, keyOf(3), 'crashed')
  trace.note(95, null, 'all quiet')
  trace.violation(100, 'IS4', '2 is on one disk of 3')
  return trace
}

const summary: TraceSummary = {
  seed: 42,
  digest: 'abc123',
  command: 'npx stretto sim --seed 42',
  violation: { invariant: 'IS4', message: '2 is on one disk of 3' },
  facts: [['nodes', '3']]
}

const scriptOf = (page: string): string => /<script>([\s\S]*?)<\/script>/.exec(page)![1]!
const markupOf = (page: string): string => page.replaceAll(/<(script|style)[\s\S]*?<\/\1>/g, '')
const dataOf = (page: string): string =>
  /<script type="application\/json" id="recording">([\s\S]*?)<\/script>/.exec(page)![1]!

t.test('the page needs nothing from elsewhere, and its policy allows nothing else', async t => {
  const page = tracePage(run().recorded(), summary)
  t.notOk(/https?:|\bsrc=|@import|url\(|<link(?! rel="icon" href="data:,")/.test(page))
  const policy = /Content-Security-Policy" content="([^"]*)"/.exec(page)![1]!
  t.match(policy, /^default-src 'none'; /)
  const hash = (text: string): string => `'sha256-${createHash('sha256').update(text).digest('base64')}'`
  t.ok(policy.includes(`script-src ${hash(scriptOf(page))}`))
  t.ok(policy.includes(`style-src ${hash(/<style>([\s\S]*?)<\/style>/.exec(page)![1]!)}`))
  t.notOk(/ style=| on[a-z]+=/.test(markupOf(page)), 'the policy would not let them')
  for (const text of ['Seed 42', 'abc123', 'npx stretto sim --seed 42', '<b>IS4</b> 2 is on one disk'])
    t.ok(page.includes(text))
})

t.test('whatever stands in a trace stays text', async t => {
  const evil = `</script><!--<script>alert('&"')</script>\u2028`
  const trace = run()
  trace.note(101, null, evil)
  const page = tracePage(trace.recorded(), {
    seed: 1,
    digest: evil,
    command: evil,
    violation: { invariant: evil, message: evil },
    facts: [[evil, evil]]
  })
  t.equal(page.match(/<\/script/g)!.length, 2, 'the two of the page itself')
  t.notOk(page.includes('<!--'))
  t.notOk(markupOf(page).includes("alert('"), 'quotes are escaped where markup is')
  const recording = unpackRecording(JSON.parse(dataOf(page)))
  t.ok(recording.events.some(event => event.kind === 'note' && event.text === evil))
})

t.test('a recording comes out of the page as it went in, times to the microsecond', async t => {
  const recording = run().recorded()
  t.same(unpackRecording(JSON.parse(JSON.stringify(packRecording(recording)))), recording)
  const trace = new Trace({ nodes: [] })
  trace.note(1.23456789, null, 'x')
  t.equal(unpackRecording(packRecording(trace.recorded())).events[0]!.at, 1.235)
})

t.test('the modules of the page consist of what they export, under names that differ', async t => {
  const folder = fileURLToPath(new URL('../../lib/sim/trace/view/', import.meta.url))
  const names = readdirSync(folder).filter(name => name !== 'dom.ts')
  const listed = readFileSync(`${folder}../page.ts`, 'utf8')
  const seen = new Set<string>()
  for (const name of names) {
    const text = readFileSync(folder + name, 'utf8')
    t.ok(listed.includes(`'./view/${name}'`), `${name} is in the page`)
    t.notOk(/^(async |function|class|const|let)/m.test(text), `${name}: all of it is exported`)
    for (const [, what, from] of text.matchAll(/^import (?!type )([^']*) from '([^']+)'/gm)) {
      t.match(from, /^\.\/[a-z]+\.ts$/, `${name}: what it uses is in the page`)
      t.notMatch(what, / as /, `${name}: nothing has another name elsewhere`)
    }
    for (const [, own] of text.matchAll(/^export (?:function|class|const) (\w+)/gm)) {
      t.notOk(seen.has(own!), `${own} is there once`)
      seen.add(own!)
    }
  }
  t.ok(seen.size > 50)
})

/** The page before a fake browser, its script run as the browser would. */
function open(page: string): FakeBrowser {
  const markup = markupOf(page)
  const browser = new FakeBrowser([...markup.matchAll(/ id="([a-z-]+)"/g)].map(match => match[1]!).concat('recording'))
  browser.element('recording').textContent = dataOf(page)
  runInContext(scriptOf(page), createContext({ window: browser.window, document: browser.window.document }))
  browser.frame()
  return browser
}

const rowsIn = (browser: FakeBrowser): string[] =>
  browser
    .element('rows')
    .all('div')
    .map(row => row.textContent)
const pinnedIn = (browser: FakeBrowser): string => {
  const row = browser
    .element('rows')
    .all('div')
    .find(each => each.className.includes('pinned'))
  return row?.textContent ?? ''
}

t.test('it opens at the violation, with all that is to be seen by name', async t => {
  const browser = open(tracePage(run().recorded(), summary))
  const { texts } = browser.element('stage')
  for (const text of [
    'n1',
    'n2',
    'n3',
    'client 1',
    'leader t1',
    '2',
    'IS4 2 is on one disk of 3',
    'put a=1: revision 2'
  ])
    t.ok(texts.includes(text), text)
  t.ok(browser.element('overlay').texts.includes('leader t1'), 'the state of each node stands at its line')
  t.ok(browser.element('overlay').texts.includes('down'))
  t.ok(browser.element('map').texts.includes('the whole run'))
  t.match(browser.element('detail').textContent, /^IS4: 2 is on one disk of 3 at 100\.000 ms/)
  t.match(pinnedIn(browser), /^100\.000 {2}VIOLATION IS4/)
  t.equal(browser.element('to-violation').hidden, false)
  t.equal(browser.element('stage').width, 2_000, 'as many pixels as the screen has')
})

t.test('heartbeats are hidden until they are asked for; nodes and sorts can be hidden', async t => {
  const browser = open(tracePage(run().recorded(), summary))
  const toggle = (box: string, text: RegExp): FakeElement =>
    browser
      .element(box)
      .all('label')
      .find(label => text.test(label.textContent))!
  const flip = (label: FakeElement): void => {
    const [input] = label.all('input')
    input!.checked = !input!.checked
    for (const listener of input!.listeners.get('change')!) (listener as () => void)()
    browser.frame()
  }
  const heartbeats = (): number => rowsIn(browser).filter(row => row.includes('append prev=0@0 commit=0')).length
  t.match(toggle('kinds', /heartbeats/).textContent, /heartbeats 2$/)
  t.equal(heartbeats(), 2, 'the first append is news')
  flip(toggle('kinds', /heartbeats/))
  t.equal(heartbeats(), 6)
  const all = rowsIn(browser).length
  flip(toggle('kinds', /client calls/))
  t.equal(rowsIn(browser).length, all - 2)
  flip(toggle('kinds', /faults/))
  t.equal(rowsIn(browser).length, all - 4)
  flip(toggle('nodes', /n2/))
  t.notOk(browser.element('stage').texts.includes('n2'))
  t.equal(heartbeats(), 0, 'what it has been sent is gone with it')
  t.equal(browser.element('kinds').all('label').length, 6, 'no tick for what there is none of')
})

t.test('search narrows the list, and Enter goes through what was found', async t => {
  const browser = open(tracePage(run().recorded(), summary))
  const search = browser.element('search')
  search.value = 'N1 vote'
  browser.tell('search', 'input')
  t.same(rowsIn(browser), [
    '10.000 n1 sends n1 -> n2 @1 vote last=0@0',
    '10.000 n1 loses n1 -> n3 @1 vote last=0@0 (cut)',
    '14.000 n2 receives n1 -> n2 @1 vote last=0@0 (after 4.000)',
    '14.000 n2 sends n2 -> n1 @1 vote granted',
    '20.000 n1 receives n2 -> n1 @1 vote granted (after 6.000)'
  ])
  t.match(browser.element('found').textContent, /^5 of \d+$/)
  browser.tell(null, 'keydown', { key: '0' })
  browser.tell('search', 'keydown', { key: 'Enter' })
  t.match(
    browser.element('detail').textContent,
    /^n1 -> n2 @1 vote last=0@0 sent 10\.000 ms fate delivered after 4\.000 ms/
  )
  browser.tell('search', 'keydown', { key: 'Enter' })
  t.match(browser.element('detail').textContent, /n1 -> n3 .* dropped \(cut\) after 0\.000 ms/)
  browser.tell('search', 'keydown', { key: 'Enter', shiftKey: true })
  t.match(browser.element('detail').textContent, /^n1 -> n2 .* n1 at sending candidate @1, commit 0.* n2 at the end /)
  browser.tell('search', 'keydown', { key: 'Escape' })
  t.equal(search.value, '')
  t.ok(rowsIn(browser).length > 5)
})

/** Where on the stage the time `ms` is: the page shows the whole run, from 0 to 101 ms. */
const pixelOf = (ms: number): number => 138 + (ms / 101) * (1_000 - 138 - 14)

t.test('what the pointer is at is told, a click keeps it, Escape lets it go', async t => {
  const browser = open(tracePage(run().recorded(), summary))
  browser.tell(null, 'keydown', { key: '0' })
  const tip = browser.element('tip')
  const lane = browser.element('overlay')
  const told: string[] = []
  for (let y = 0; y < 600; y += 3) {
    browser.tell('overlay', 'pointermove', { clientX: pixelOf(12), clientY: y })
    if (!tip.hidden) told.push(tip.all('h2')[0]!.textContent)
  }
  const texts = [
    'partition n3 alone',
    'n1 becomes candidate @1',
    'n1 -> n2 @1 vote last=0@0',
    'n2 started',
    'n3 started'
  ]
  t.same([...new Set(told)], texts, 'from top to bottom')
  t.ok(
    lane.texts.some(text => text.startsWith('12.000')),
    'the time at the pointer'
  )
  const y = Array.from({ length: 600 }, (_, y) => y).find(y => {
    browser.tell('overlay', 'pointermove', { clientX: pixelOf(12), clientY: y })
    return tip.textContent.startsWith('n1 -> n2')
  })!
  const at = { clientX: pixelOf(12), clientY: y }
  browser.tell('overlay', 'pointerdown', at)
  browser.tell('overlay', 'pointerup', at)
  browser.tell('overlay', 'pointerleave')
  t.equal(tip.hidden, true)
  t.match(pinnedIn(browser), /^10\.000 n1 sends n1 -> n2/)
  browser.tell(null, 'keydown', { key: 'ArrowDown' })
  t.match(browser.element('detail').textContent, /^n1 -> n3/)
  browser.tell(null, 'keydown', { key: 'ArrowUp' })
  t.match(browser.element('detail').textContent, /^n1 -> n2/)
  browser.tell(null, 'keydown', { key: 'Escape' })
  t.equal(pinnedIn(browser), '')
  t.equal(browser.element('detail').textContent, '')
  browser.tell('list', 'click', { clientY: 21 * 3 + 5 - browser.element('list').scrollTop })
  t.match(pinnedIn(browser), rowsIn(browser)[3]!)
})

t.test('what is small is found before what is large: flags, crosses, ticks, bars', async t => {
  const trace = run()
  trace.note(110, keyOf(2), 'its disk is full')
  const first = trace.called(111, 2, keyOf(1), 'put b=1')
  trace.called(111, 2, keyOf(1), 'put b=2')
  trace.answered(120, first, 'fail', 'OVERLOADED')
  const browser = open(tracePage(trace.recorded(), summary))
  browser.tell(null, 'keydown', { key: '0' })
  const whole = 120 * 1.01
  const heads = (ms: number): string[] => {
    const told = new Set<string>()
    for (let y = 0; y < 600; y += 2) {
      const clientX = 138 + (ms / whole) * (1_000 - 138 - 14)
      browser.tell('overlay', 'pointermove', { clientX, clientY: y })
      const tip = browser.element('tip')
      told.add(tip.hidden ? '' : tip.all('h2')[0]!.textContent)
    }
    told.delete('')
    return [...told]
  }
  t.same(heads(110.2).slice(0, 2), ['n1 becomes leader @1', 'its disk is full'])
  t.same(
    heads(116).slice(-2),
    ['client 2: put b=1', 'client 2: put b=2'],
    'calls at the same time stand below each other'
  )
  t.ok(heads(90).includes('n3 crashed'))
  t.ok(heads(70).includes('n2 stalled'))
  t.ok(heads(50).includes('n1 commits up to 2'))
  t.ok(heads(100).includes('IS4: 2 is on one disk of 3'))
})

t.test('wheel, drag, buttons, keys and the small map move the view', async t => {
  const browser = open(tracePage(run().recorded(), summary))
  const timeAtMiddle = (): number => {
    browser.tell('overlay', 'pointermove', { clientX: 562, clientY: 2 })
    const text = browser.element('overlay').texts.find(each => /^\d+\.\d{3}( |$)/.test(each))!
    return Number.parseFloat(text)
  }
  const near = (ms: number, text: string): boolean =>
    t.ok(Math.abs(timeAtMiddle() - ms) < 0.01, `${text}: ${timeAtMiddle()}`)
  browser.tell('all', 'click')
  near(50.5, 'the whole run')
  browser.tell('overlay', 'wheel', { clientX: 562, deltaY: -200 })
  browser.tell('overlay', 'wheel', { clientX: 562, deltaY: -200 })
  near(50.5, 'the wheel zooms about the pointer')
  const width = 101 * Math.exp(-0.8)
  browser.tell('overlay', 'wheel', { clientX: 562, deltaY: 100, shiftKey: true })
  near(50.5 + width / 10, 'with shift it moves')
  browser.tell('later', 'click')
  browser.tell('earlier', 'click')
  browser.tell(null, 'keydown', { key: 'ArrowLeft' })
  browser.tell(null, 'keydown', { key: 'ArrowRight' })
  near(50.5 + width / 10, 'there and back')
  browser.tell('overlay', 'pointerdown', { clientX: 500, clientY: 2 })
  browser.tell('overlay', 'pointermove', { clientX: 500 + 84.8, clientY: 2 })
  browser.tell('overlay', 'pointerup', { clientX: 500 + 84.8, clientY: 2 })
  near(50.5, 'dragging moves')
  browser.tell('map', 'pointerdown', { clientX: pixelOf(30) })
  browser.tell('map', 'pointermove', { clientX: pixelOf(40) })
  browser.tell('map', 'pointerup')
  browser.tell('map', 'pointermove', { clientX: pixelOf(70) })
  near(40, 'the map moves while it is held')
  browser.tell('zoom-in', 'click')
  browser.tell(null, 'keydown', { key: '+' })
  browser.tell(null, 'keydown', { key: '-' })
  browser.tell('zoom-out', 'click')
  near(40, 'zoomed about the middle')
  browser.tell(null, 'keydown', { key: '/' })
  t.equal(browser.element('search').focused, true)
  browser.tell(null, 'keydown', { key: 'v', ctrlKey: true })
  near(40, 'keys of the browser are left alone')
  browser.tell('to-violation', 'click')
  t.match(pinnedIn(browser), /VIOLATION/)
})

t.test('the page is the same code without the compiler that runs this test', async t => {
  const code = `
    import { Trace } from './lib/sim/trace/trace.ts'
    import { tracePage } from './lib/sim/trace/page.ts'
    const trace = new Trace({ nodes: ['n1', 'n2'] })
    trace.said(1, 'n1', 'n2', 'hello')
    trace.violation(2, 'IS1', 'broken')
    process.stdout.write(tracePage(trace.recorded(), { seed: 1, digest: '', command: '', violation: null, facts: [] }))`
  const options = {
    cwd: fileURLToPath(new URL('../..', import.meta.url)),
    encoding: 'utf8',
    env: { PATH: process.env['PATH'] }
  } as const
  const page = execFileSync('node', ['--import=ts-blank-space/register', '--input-type=module', '-e', code], options)
  const browser = open(page)
  t.same(rowsIn(browser), ['1.000 n1 sends n1 -> n2 hello (not seen to arrive)', '2.000  VIOLATION IS1 broken'])
  t.ok(browser.element('stage').texts.includes('IS1 broken'))
})

t.test('an empty trace is a page as well', async t => {
  const browser = open(tracePage(new Trace({ nodes: [] }).recorded(), { ...summary, violation: null }))
  t.same(rowsIn(browser), [])
  t.equal(browser.element('to-violation').hidden, true)
  browser.tell(null, 'keydown', { key: 'ArrowDown' })
  browser.tell('overlay', 'pointermove', { clientX: 400, clientY: 100 })
  t.equal(browser.element('tip').hidden, true)
})

t.test('what was left out before is where a kept trace begins, and is not drawn as silence', async t => {
  const trace = new Trace({ nodes: ['n1', 'n2'], eventsMax: 4 })
  trace.life(0, 'n1', 'started')
  trace.look(1, 'n1', { role: 'leader', term: 5, leader: 'n1', commit: 9 }, 9)
  for (let ms = 2; ms < 20; ms++) trace.look(ms, 'n1', { role: 'leader', term: 5, leader: 'n1', commit: 9 + ms }, 9)
  trace.note(20, null, 'end')
  const recording = trace.recorded()
  const page = tracePage(recording, { ...summary, violation: null })
  t.match(page, /<p class="notice">messages and indexes: the last 4 are kept, 16 before 16\.000 ms are left out\.<\/p>/)
  t.ok(open(page).element('stage').texts.includes('messages left out here'))
  const [n1, n2] = nodeLinesOf(recording)
  t.match(nodeAt(n1!, 10), { commit: -1, applied: -1, stretch: { alive: true, role: 'leader', term: 5 }, held: false })
  t.match(nodeAt(n1!, 15.9), { commit: -1 })
  t.match(nodeAt(n1!, 16), { commit: 25, applied: 9 })
  t.match(nodeAt(n2!, 10), { stretch: { alive: true, role: null } })
})

t.test('where the first events were kept, nothing is known of what came later', async t => {
  const trace = new Trace({ nodes: ['n1'], eventsMax: 12, keep: 'first' })
  for (let ms = 2; ms < 20; ms++) trace.look(ms, 'n1', { role: 'leader', term: 5, leader: 'n1', commit: ms }, 0)
  trace.life(20, 'n1', 'crashed')
  trace.life(21, 'n1', 'started')
  const [n1] = nodeLinesOf(trace.recorded())
  t.match(nodeAt(n1!, 12.9), { commit: 12 })
  t.match(nodeAt(n1!, 13), { commit: -1 })
  t.match(nodeAt(n1!, 30), { commit: -1, stretch: { alive: true, role: null } })
})

const viewOf = (a: number, b: number): { from: number; to: number } => ({
  from: Math.min(a, b),
  to: Math.max(a, b) + 1
})
const time = fc.double({ min: 0, max: 10_000, noNaN: true })

t.test('however the view is moved and zoomed, it stays within the run and shows something', async t => {
  const whole = { from: 0, to: 10_100 }
  fc.assert(
    fc.property(time, time, time, fc.double({ min: 0.001, max: 1_000, noNaN: true }), (a, b, at, factor) => {
      const view = keepWithin(viewOf(a, b), whole)
      for (const next of [zoomed(view, factor, at, whole), moved(view, factor - 2, whole), showing(view, at, whole)]) {
        if (next.from < -1e-6 || next.to > whole.to + 1e-6 || next.to - next.from < 0.049) return false
      }
      const shown = showing(view, at, whole)
      return at >= shown.from - 1e-6 && at <= shown.to + 1e-6
    })
  )
  t.pass('always')
})

t.test('ticks are round, rise, lie in the view, and are not too many', async t => {
  fc.assert(
    fc.property(
      time,
      fc.double({ min: 0.05, max: 10_000, noNaN: true }),
      fc.integer({ min: 1, max: 20 }),
      (from, width, max) => {
        const { times, digits } = ticksOf({ from, to: from + width }, max)
        const round = times.every(each => Math.abs(each - Number(each.toFixed(digits))) < 1e-6)
        const inside = times.every(
          (each, at) => each >= from - 1e-9 && each <= from + width + 1e-9 && each > (times[at - 1] ?? -1)
        )
        return round && inside && times.length <= max + 1
      }
    )
  )
  t.pass('always')
})

t.test('what touches a part of the run is found, as if each were asked', async t => {
  const spans = fc.array(fc.tuple(time, fc.double({ min: 0, max: 3_000, noNaN: true })), { maxLength: 40 })
  fc.assert(
    fc.property(spans, time, time, (drawn, a, b) => {
      const all = drawn
        .map(([from, ms], event) => ({ from, to: from + ms, event, of: null }))
        .sort((x, y) => x.from - y.from)
      const { from, to } = viewOf(a, b)
      const found = spansWithin(spansOf(all), from, to).map(span => span.event)
      return (
        found.join() ===
        all
          .filter(span => span.to >= from && span.from <= to)
          .map(span => span.event)
          .join()
      )
    })
  )
  t.pass('always')
})

t.test('faults at the same time stand in different rows while there are rows', async t => {
  const faultAt = (at: number, until: number, number: number): TraceEvent & { kind: 'fault' } => {
    return { kind: 'fault', at, number, what: 'drop', text: '', nodes: [], until }
  }
  const spans = [...Array(9).keys()].map(at => ({ from: at, to: 10 + at, event: at, of: faultAt(at, 10 + at, at) }))
  const rows = rowsOf([...spans, { from: 30, to: 31, event: 9, of: faultAt(30, 31, 9) }], 6)
  t.equal(rows.length, 6)
  t.equal(rows.flat().length, 10)
  t.same(
    rows.map(row => row[0]!.event),
    [0, 1, 2, 3, 4, 5]
  )
  t.equal(rows[0]!.at(-1)!.event, 9)
})
