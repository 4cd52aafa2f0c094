// The one command that shows a run again, and the page that shows it as a diagram.
import { type FaultClass, faultNames } from './faults.ts'
import type { RunOptions, RunReport } from './run.ts'
import { tracePage } from './trace/page.ts'
import { Trace } from './trace/trace.ts'

type Replayed = Pick<RunOptions, 'seed' | 'nodes' | 'clients' | 'depth' | 'faults' | 'durationMs'>

/** What a page says of a run. */
type PagedOptions = Pick<RunOptions, 'nodes' | 'clients' | 'depth' | 'durationMs' | 'faults' | 'schedule'>

/** Every option is said, so that it is the same command when a default is another one. */
export function replayCommand({ seed, nodes, clients, depth, faults, durationMs }: Replayed): string {
  const size = `--nodes ${nodes} --clients ${clients} --depth ${depth}`
  return `npx stretto sim --seed ${seed} ${size} --duration ${durationOf(durationMs)} --faults ${faultsOf(faults)}`
}

/** As it is given on the command line. */
export function faultsOf(faults: readonly FaultClass[]): string {
  if (faults.length === 0) return 'none'
  return faultNames.every(name => faults.includes(name)) ? 'all' : faults.join(',')
}

/** In the largest unit in which it is whole. */
export function durationOf(ms: number): string {
  if (ms % 60_000 === 0) return `${ms / 60_000}m`
  return ms % 1_000 === 0 ? `${ms / 1_000}s` : `${ms}ms`
}

/** Watches one run, and makes a page of it. */
export class PageTrace {
  readonly sink: Trace

  constructor(nodes: number) {
    this.sink = new Trace({ nodes: Array.from({ length: nodes }, (_, at) => `n${at + 1}`) })
  }

  page(options: PagedOptions, run: RunReport, command: string): string {
    const { seed, digest, violation, events, operations, virtualMs } = run
    const { nodes, clients, depth, durationMs, faults, schedule } = options
    const facts = [
      ['nodes', String(nodes)],
      ['clients', String(clients)],
      ['depth', depth],
      ['storm', durationOf(durationMs)],
      ['faults', schedule === undefined ? faultsOf(faults) : `a schedule of ${schedule.length}`],
      ['virtual time', `${(virtualMs / 1000).toFixed(1)} s`],
      ['events', events.toLocaleString('en')],
      ['operations', operations.toLocaleString('en')]
    ] as const
    return tracePage(this.sink.recorded(), { seed, digest, command, violation, facts })
  }
}
