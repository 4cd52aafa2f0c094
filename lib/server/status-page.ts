// The page at `/`: one node at a glance, by itself, with nothing from elsewhere; it reads /status once a second.
import { createHash } from 'node:crypto'

const style = `
:root { color-scheme: light dark; --ground: #f6f5f1; --card: #fff; --ink: #1d1f24; --quiet: #6b7078; --line: #e2e0d9;
  --accent: #2f5fd0; --good: #1c7c54; --warn: #a65b00; --bad: #b3261e }
@media (prefers-color-scheme: dark) { :root { --ground: #14161a; --card: #1d2026; --ink: #e8e8e4; --quiet: #969ba5;
  --line: #2e323a; --accent: #85a9ff; --good: #5fce9a; --warn: #f0ad55; --bad: #ff8a80 } }
* { box-sizing: border-box }
body { margin: 0; background: var(--ground); color: var(--ink); font: 15px/1.5 system-ui, sans-serif }
main { max-width: 60rem; margin: 0 auto; padding: 2rem 1.25rem 3rem }
header { display: flex; flex-wrap: wrap; align-items: baseline; gap: .4rem .9rem; margin-bottom: 1.25rem }
h1 { margin: 0; font-size: 1.7rem; letter-spacing: -.02em }
h2 { margin: 0 0 .6rem; font-size: .8rem; font-weight: 600; color: var(--quiet); text-transform: uppercase; letter-spacing: .06em }
.quiet { color: var(--quiet) }
.badge { padding: .1rem .65rem; border-radius: 1rem; border: 1px solid currentColor; font-size: .85rem; font-weight: 600 }
.good { color: var(--good) } .warn { color: var(--warn) } .bad { color: var(--bad) }
.grid { display: grid; gap: 1rem; grid-template-columns: repeat(auto-fit, minmax(17rem, 1fr)); margin-bottom: 1rem }
.card { background: var(--card); border: 1px solid var(--line); border-radius: .7rem; padding: 1rem 1.15rem }
dl { display: grid; grid-template-columns: auto auto; gap: .25rem 1rem; margin: 0 }
dt { color: var(--quiet) } dd { margin: 0; text-align: right; font-variant-numeric: tabular-nums; overflow-wrap: anywhere }
.rate { font-size: 2rem; font-weight: 600; letter-spacing: -.02em; font-variant-numeric: tabular-nums }
svg { display: block; width: 100%; height: 3.5rem; margin-top: .4rem }
polyline { fill: none; stroke: var(--accent); stroke-width: 2; vector-effect: non-scaling-stroke; stroke-linejoin: round }
.scroll { overflow-x: auto } table { width: 100%; border-collapse: collapse }
th { text-align: left; font-weight: 500; color: var(--quiet) }
th, td { padding: .4rem .8rem .4rem 0; border-bottom: 1px solid var(--line); white-space: nowrap } tr:last-child td { border: 0 }
a { color: var(--accent); text-decoration: none } a:hover, a:focus-visible { text-decoration: underline }
code { font: .9em ui-monospace, monospace }
#trouble { margin: 0 0 1rem; padding: .7rem 1.15rem; border-left: 4px solid var(--warn) }
#trouble:empty { display: none }
footer { margin-top: 1.5rem; display: flex; flex-wrap: wrap; gap: 1rem }`

const body = `
<main>
<header><h1 id="id">stretto</h1><span class="badge" id="role" role="status">&hellip;</span><span class="quiet" id="cluster"></span></header>
<p class="card" id="trouble" role="alert"></p>
<div class="grid">
<section class="card"><h2>Log entries applied per second</h2><div class="rate" id="rate">&ndash;</div>
<svg viewBox="0 0 119 40" preserveAspectRatio="none" aria-hidden="true"><polyline id="spark" points=""/></svg></section>
<section class="card"><h2>Consensus</h2><dl id="consensus"></dl></section>
<section class="card"><h2>This node</h2><dl id="node"></dl></section>
</div>
<section class="card"><h2>Members</h2><div class="scroll"><table><thead><tr><th>Node</th><th>Address</th><th>Role</th><th>Incarnation</th></tr></thead>
<tbody id="members"></tbody></table></div></section>
<footer class="quiet"><a href="/status">status as JSON</a><a href="/metrics">metrics</a><a href="/readyz">readiness</a><span id="version"></span></footer>
<noscript><p>This page needs JavaScript; the same figures are at <a href="/status">/status</a>.</p></noscript>
</main>`

const script = `
'use strict'
const rates = []
let before = null
const at = id => document.getElementById(id)
const number = value => value.toLocaleString('en')
function size(bytes) {
  const names = ['B', 'KiB', 'MiB', 'GiB', 'TiB']
  let step = 0
  while (bytes >= 1024 && step < 4) { bytes /= 1024; step++ }
  return bytes.toFixed(step === 0 || bytes >= 10 ? 0 : 1) + ' ' + names[step]
}
function span(ms) {
  const s = Math.floor(ms / 1000), m = Math.floor(s / 60), h = Math.floor(m / 60), d = Math.floor(h / 24)
  return d > 0 ? d + 'd ' + h % 24 + 'h' : h > 0 ? h + 'h ' + m % 60 + 'm' : m > 0 ? m + 'm ' + s % 60 + 's' : s + 's'
}
function element(name, text) {
  const made = document.createElement(name)
  made.textContent = text
  return made
}
function fill(id, rows) {
  at(id).replaceChildren(...rows.flatMap(([name, value]) => [element('dt', name), element('dd', value)]))
}
function show(status) {
  document.title = status.id + ' · ' + status.role + ' · stretto'
  at('id').textContent = status.id
  at('role').textContent = status.role
  at('role').className = 'badge ' + (status.ready ? 'good' : 'warn')
  at('cluster').textContent = status.clusterId === '' ? 'not founded yet' : 'cluster ' + status.clusterId.slice(0, 12)
  const trouble = status.reasons.slice()
  if (!status.trusted) trouble.push('the log is not the one that this node had promised to hold')
  if (status.insecure) trouble.push('started with --insecure: traffic is not encrypted')
  at('trouble').textContent = trouble.join(' · ')
  fill('consensus', [['Leader', status.leader === null ? 'none' : status.leader], ['Term', number(status.term)],
    ['Log', number(status.firstIndex) + ' to ' + number(status.lastIndex)], ['Durable', number(status.durableIndex)],
    ['Committed', number(status.commitIndex)], ['Applied', number(status.appliedIndex)]])
  fill('node', [['Revision', number(status.revision)], ['Log on disk', size(status.logBytes)], ['State', size(status.stateBytes)],
    ['Memory', size(status.rssBytes)], ['Up for', span(status.uptimeMs)]])
  at('version').textContent = 'stretto ' + status.version
  at('members').replaceChildren(...status.members.map(member => {
    const row = document.createElement('tr')
    const link = element('a', member.address)
    link.href = 'http://' + member.address + '/'
    const mark = (member.id === status.leader ? ' (leader)' : '') + (member.id === status.id ? ' (this node)' : '')
    const address = document.createElement('td')
    address.append(link)
    const incarnation = document.createElement('td')
    incarnation.append(element('code', member.incarnation.slice(0, 8)))
    row.append(element('td', member.id + mark), address, element('td', member.role), incarnation)
    return row
  }))
  const now = performance.now()
  if (before !== null && status.appliedIndex >= before.applied) {
    const rate = (status.appliedIndex - before.applied) * 1000 / (now - before.now)
    rates.push(rate)
    if (rates.length > 120) rates.shift()
    at('rate').textContent = number(Math.round(rate))
    const most = Math.max(1, ...rates)
    at('spark').setAttribute('points', rates.map((each, x) => (120 - rates.length + x) + ',' + (38 - 36 * each / most).toFixed(1)).join(' '))
  }
  before = { applied: status.appliedIndex, now }
}
async function refresh() {
  try {
    const answer = await fetch('/status', { cache: 'no-store', signal: AbortSignal.timeout(3000) })
    if (!answer.ok) throw new Error('it answered ' + answer.status)
    show(await answer.json())
  } catch (error) {
    at('role').textContent = 'out of reach'
    at('role').className = 'badge bad'
    at('trouble').textContent = 'This node does not answer. The figures below are from before.'
    before = null
  }
  setTimeout(refresh, document.hidden ? 5000 : 1000)
}
refresh()`

export const statusPage = `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>stretto</title><link rel="icon" href="data:,"><style>${style}</style></head><body>${body}
<script>${script}</script></body></html>
`

/** Nothing but the page's own style and script, and requests to the node that served it. */
export const statusPagePolicy = [
  "default-src 'none'",
  `style-src '${hashOf(style)}'`,
  `script-src '${hashOf(script)}'`,
  "connect-src 'self'",
  'img-src data:',
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'"
].join('; ')

function hashOf(text: string): string {
  return `sha256-${createHash('sha256').update(text).digest('base64')}`
}
