// A trace as one HTML file that needs nothing else: a diagram of space and time, and the list of all that happened.
import { createHash } from 'node:crypto'
import type { Recording } from './events.ts'
import { leftOutLines } from './lines.ts'
import { traceStyle } from './page-style.ts'
import * as arrows from './view/arrows.ts'
import * as bands from './view/bands.ts'
import * as find from './view/find.ts'
import * as input from './view/input.ts'
import * as layout from './view/layout.ts'
import * as list from './view/list.ts'
import * as map from './view/map.ts'
import * as model from './view/model.ts'
import * as moments from './view/moments.ts'
import * as nodes from './view/nodes.ts'
import * as packing from './view/packing.ts'
import * as scale from './view/scale.ts'
import * as stage from './view/stage.ts'
import * as tools from './view/tools.ts'
import * as view from './view/view.ts'

export interface TraceSummary {
  readonly seed: number
  readonly digest: string
  /** What to type to see the same run again. */
  readonly command: string
  readonly violation: { readonly invariant: string; readonly message: string } | null
  /** Options, figures and whatever else says which run this was, in the order in which they are to be read. */
  readonly facts: readonly (readonly [name: string, value: string])[]
}

/** The whole file, as text in UTF-8. Whatever stands in the trace and in the summary, it stays text. */
export function tracePage(recording: Recording, summary: TraceSummary): string {
  const data = scriptSafe(JSON.stringify(packing.packRecording(recording)))
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta http-equiv="Content-Security-Policy" content="${policy}">
<meta name="viewport" content="width=device-width, initial-scale=1"><title>${escaped(titleOf(summary))}</title>
<link rel="icon" href="data:,"><style>${traceStyle}</style></head><body>
${header(recording, summary)}${body}
<script type="application/json" id="recording">${data}</script>
<script>${traceScript}</script></body></html>
`
}

function titleOf({ seed, violation }: TraceSummary): string {
  return `seed ${seed}${violation === null ? '' : `: ${violation.invariant}`} · stretto`
}

function header(recording: Recording, { seed, digest, command, violation, facts }: TraceSummary): string {
  const badge =
    violation === null ? '<span class="badge good">nothing broken</span>' : '<span class="badge bad">broken</span>'
  const verdict =
    violation === null ? '' : `<p class="bad"><b>${escaped(violation.invariant)}</b> ${escaped(violation.message)}</p>`
  const shown = [['digest', digest] as const, ...facts]
  const rows = shown.map(([name, value]) => `<div><dt>${escaped(name)}</dt><dd>${escaped(value)}</dd></div>`)
  const notices = leftOutLines(recording).map(line => `<p class="notice">${escaped(line)}.</p>`)
  return `<header><h1>Seed ${escaped(String(seed))}</h1>${badge}<dl class="facts">${rows.join('')}</dl>${verdict}
<p><span class="quiet">replay:</span> <code>${escaped(command)}</code></p>${notices.join('')}</header>`
}

const body = `
<div class="tools" role="toolbar" aria-label="View">
<div><button type="button" id="earlier" aria-label="earlier">&larr;</button><button type="button" id="later" aria-label="later">&rarr;</button>
<button type="button" id="zoom-in" aria-label="zoom in">+</button><button type="button" id="zoom-out" aria-label="zoom out">&minus;</button>
<button type="button" id="all">whole run</button><button type="button" id="to-violation" class="bad">violation</button></div>
<div id="kinds"></div><div id="nodes"></div>
<details><summary>keys</summary><p>Wheel: zoom; with shift: move. Drag: move. Click: keep. <kbd>&larr; &rarr;</kbd> move,
<kbd>+ &minus;</kbd> zoom, <kbd>0</kbd> whole run, <kbd>&uarr; &darr;</kbd> event before and next, <kbd>v</kbd> violation,
<kbd>/</kbd> search, <kbd>Esc</kbd> let go.</p></details></div>
<main><section class="card" aria-label="Diagram"><div class="map"><canvas id="map" aria-hidden="true"></canvas></div>
<div id="scroll"><div id="frame"><canvas id="stage" aria-hidden="true"></canvas>
<canvas id="overlay" tabindex="0" role="img" aria-label="Messages between the nodes over time; the list holds the same as text"></canvas>
</div></div></section>
<section class="card" aria-label="Events"><div class="seek"><input id="search" type="search" placeholder="search: n2 append @3"
aria-label="search in the events" autocomplete="off" spellcheck="false"><span id="found" role="status"></span></div>
<div id="list" tabindex="0" role="region" aria-label="All events in order"><div id="space"></div><div id="rows"></div></div>
<div id="detail" aria-live="polite"></div></section></main>
<div id="tip" role="tooltip" hidden></div>
<noscript><p>The diagram needs JavaScript. The same trace can be had as lines of text.</p></noscript>`

/**
 * The script of the page is code of this tree, checked and tested like all of it: its source as it runs here. What the
 * modules export is put side by side, so all that they consist of is exported, under names that differ.
 */
function sourceOf(modules: readonly Readonly<Record<string, unknown>>[]): string {
  const definitions = modules.flatMap(Object.entries).map(([name, value]) => {
    return `const ${name} = ${typeof value === 'function' ? String(value) : JSON.stringify(value)}`
  })
  // Some compilers wrap each function in a call of `__name`, so that it keeps its name; here it is only itself.
  return `'use strict'\nconst __name = made => made\n${definitions.join('\n')}\n`
}

const modules = [
  scale,
  moments,
  model,
  packing,
  layout,
  nodes,
  arrows,
  bands,
  find,
  stage,
  map,
  list,
  tools,
  view,
  input
]

const traceScript = `${sourceOf(modules)}startTraceView(window, unpackRecording(JSON.parse(document.getElementById('recording').textContent)))`

const policy = [
  "default-src 'none'",
  `style-src '${hashOf(traceStyle)}'`,
  `script-src '${hashOf(traceScript)}'`,
  'img-src data:',
  "base-uri 'none'",
  "form-action 'none'"
].join('; ')

function hashOf(text: string): string {
  return `sha256-${createHash('sha256').update(text).digest('base64')}`
}

/** JSON that cannot end the element in which it stands. */
function scriptSafe(json: string): string {
  return json.replaceAll('<', '\\u003c')
}

function escaped(text: string): string {
  const names: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' }
  return text.replaceAll(/[&<>"']/g, character => names[character]!)
}
