// The report as one HTML file that needs nothing else: the table, throughput and latency over the callers, and latency spectra.
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { type BenchReport, type BenchRun, rowOfRun, runColumns } from './report.ts'

/** One plot: x values in common, a line for each name. */
interface Plot {
  readonly title: string
  readonly x: string
  readonly y: string
  readonly logarithmicY: boolean
  readonly names: readonly string[]
  /** The x values, then one list for each name; null where there is no value. */
  readonly data: readonly (readonly (number | null)[])[]
}

export function reportPage(report: BenchReport, takenAt: string): string {
  const { machine, runs } = report
  const plots = plotsOf(runs)
  const head = runColumns.map(column => `<th>${escaped(column)}</th>`).join('')
  const rows = runs.map(
    run =>
      `<tr>${rowOfRun(run)
        .map(cell => `<td>${escaped(String(cell))}</td>`)
        .join('')}</tr>`
  )
  const facts = `${machine.cpus} CPUs, Node ${machine.node}, ${machine.platform}, a durable write of 4 KiB takes ${machine.fsyncMs} ms`
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>stretto benchmark, ${escaped(takenAt)}</title>
<style>${partOfUPlot('uPlot.min.css')}${style}</style></head>
<body><h1>stretto benchmark</h1><p>${escaped(takenAt)}. ${escaped(facts)}.</p>
<div id="plots"></div>
<table><thead><tr>${head}</tr></thead><tbody>${rows.join('\n')}</tbody></table>
<script>${partOfUPlot('uPlot.iife.min.js')}</script>
<script>const plots = ${asScript(plots)}\n${script}</script>
</body></html>
`
}

function plotsOf(runs: readonly BenchRun[]): Plot[] {
  const closed = runs.filter(run => run.offeredPerSecond === null)
  const series = grouped(closed)
  const depths = [...new Set(closed.map(run => run.inFlight))].toSorted((a, b) => a - b)
  const over = (value: (run: BenchRun) => number): (number | null)[][] =>
    [...series.values()].map(list =>
      depths.map(depth => {
        const run = list.find(each => each.inFlight === depth)
        return run === undefined ? null : value(run)
      })
    )
  const names = [...series.keys()]
  const x = 'in flight'
  const shares = runs[0]?.spectrum.map(([share]) => share) ?? []
  return [
    {
      title: 'Throughput',
      x,
      y: 'operations a second',
      logarithmicY: true,
      names,
      data: [depths, ...over(run => run.opsPerSecond)]
    },
    {
      title: 'Latency, p99',
      x,
      y: 'milliseconds',
      logarithmicY: true,
      names,
      data: [depths, ...over(run => run.p99Ms)]
    },
    {
      title: 'Latency spectra',
      x: 'nines: 1 is 90 %, 2 is 99 %',
      y: 'milliseconds',
      logarithmicY: true,
      names: runs.map(runName),
      data: [shares.map(share => -Math.log10(1 - share / 100)), ...runs.map(run => run.spectrum.map(([, ms]) => ms))]
    }
  ]
}

function grouped(runs: readonly BenchRun[]): Map<string, BenchRun[]> {
  const groups = new Map<string, BenchRun[]>()
  for (const run of runs) groups.set(seriesName(run), [...(groups.get(seriesName(run)) ?? []), run])
  return groups
}

function seriesName({ system, workload, connections }: BenchRun): string {
  return `${system} ${workload}, ${connections} ${connections === 1 ? 'link' : 'links'}`
}

function runName(run: BenchRun): string {
  const pace = run.offeredPerSecond === null ? `${run.inFlight} in flight` : `${run.offeredPerSecond}/s`
  return `${seriesName(run)}, ${pace}`
}

function partOfUPlot(file: string): string {
  const main = createRequire(import.meta.url).resolve('uplot')
  return readFileSync(join(dirname(main), file), 'utf8')
}

/** JSON that may stand in a script element. */
function asScript(value: unknown): string {
  return JSON.stringify(value).replaceAll('<', '\\u003c')
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')
}

const style = `
:root { color-scheme: light dark; --ink: #1d1f24; --ground: #f6f5f1; --line: #dcd9d0 }
@media (prefers-color-scheme: dark) { :root { --ink: #e8e8e4; --ground: #14161a; --line: #2b2f37 } }
body { font: 14px/1.5 system-ui, sans-serif; margin: 1.5rem; color: var(--ink); background: var(--ground) }
#plots > div { min-width: 0 }
#plots { display: grid; grid-template-columns: repeat(auto-fit, minmax(36rem, 1fr)); gap: 1rem }
table { border-collapse: collapse; margin-top: 1rem; font-variant-numeric: tabular-nums }
td, th { padding: .2rem .7rem; border-bottom: 1px solid var(--line); text-align: right } td:first-child, th:first-child { text-align: left }
.u-legend { text-align: left; font-size: 12px }`

const script = `
const ink = getComputedStyle(document.documentElement).getPropertyValue('--ink').trim()
const line = getComputedStyle(document.documentElement).getPropertyValue('--line').trim()
const axis = label => ({ label, stroke: ink, grid: { stroke: line }, ticks: { stroke: line } })
const boxes = plots.map(() => document.createElement('div'))
document.getElementById('plots').append(...boxes)
for (const [at, plot] of plots.entries()) {
  const box = boxes[at]
  const series = plot.names.map((label, at) => ({ label, stroke: 'hsl(' + (at * 137) % 360 + ' 60% 50%)', width: 2, spanGaps: true }))
  const scales = { x: { time: false, distr: plot.x === 'in flight' ? 3 : 1 }, y: { distr: plot.logarithmicY ? 3 : 1 } }
  new uPlot({ title: plot.title, width: Math.max(500, box.clientWidth), height: 360, scales, series: [{ label: plot.x }, ...series],
    axes: [axis(plot.x), axis(plot.y)] }, plot.data, box)
}`
