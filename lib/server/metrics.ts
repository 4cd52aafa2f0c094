// What Prometheus reads: the node's plain numbers, gathered when it asks, so that the hot path only ever adds.
import { Counter, collectDefaultMetrics, Gauge, Registry } from 'prom-client'
import { spaceLevels } from '../node/room.ts'
import type { NodeStatus } from './status.ts'

export interface MetricSource {
  status(): NodeStatus
  /**
   * Objects of numbers that only rise. `fooBar` becomes `stretto_foo_bar_total`, `fooMs` becomes `stretto_foo_seconds_total`.
   * Two of them must not have a name in common.
   */
  counters(): readonly object[]
}

const roles = ['leader', 'follower', 'candidate', 'learner'] as const

/** Text of `/metrics`, made anew at each call. */
export function createMetrics(source: MetricSource): () => Promise<string> {
  const registry = new Registry()
  collectDefaultMetrics({ register: registry })
  const info = new Gauge({
    name: 'stretto_info',
    help: 'Always 1; its labels name the node.',
    labelNames: ['id', 'cluster_id', 'version'],
    registers: [registry]
  })
  const role = new Gauge({
    name: 'stretto_role',
    help: '1 for the role that this node has now.',
    labelNames: ['role'],
    registers: [registry]
  })
  const gauges = statusGauges.map(([name, help, read]) => {
    const gauge = new Gauge({ name: `stretto_${name}`, help, registers: [registry] })
    return (status: NodeStatus) => gauge.set(read(status))
  })
  const counters = new Map<string, Counter>()

  return () => {
    const status = source.status()
    info.reset()
    info.set({ id: status.id, cluster_id: status.clusterId, version: status.version }, 1)
    for (const each of roles) role.set({ role: each }, each === status.role ? 1 : 0)
    for (const set of gauges) set(status)
    for (const group of source.counters()) setCounters(group, counters, registry)
    return registry.metrics()
  }
}

type StatusGauge = readonly [name: string, help: string, read: (status: NodeStatus) => number]

const statusGauges: readonly StatusGauge[] = [
  ['term', 'The latest term that this node has seen.', status => status.term],
  ['has_leader', '1 where this node knows a leader.', status => (status.leader === null ? 0 : 1)],
  ['ready', '1 where this node can serve linearizable reads.', status => (status.ready ? 1 : 0)],
  [
    'trusted',
    '0 where the log is not the one that this node had promised to hold.',
    status => (status.trusted ? 1 : 0)
  ],
  ['insecure', '1 where plaintext was allowed by --insecure.', status => (status.insecure ? 1 : 0)],
  [
    'fit',
    '0 where disk or event loop do not keep up, so that another node is to lead.',
    ({ health }) => (health.unfit === null ? 1 : 0)
  ],
  [
    'disk_stall_seconds',
    'For how long the oldest write of the log has been under way.',
    ({ health }) => health.diskStallMs / 1_000
  ],
  ['first_index', 'Index of the first record in the log.', status => status.firstIndex],
  ['last_index', 'Index of the last record in the log.', status => status.lastIndex],
  ['durable_index', 'Index up to which the log is on stable storage.', status => status.durableIndex],
  ['commit_index', 'Index up to which the log is known to be committed.', status => status.commitIndex],
  ['applied_index', 'Index up to which the log has been applied.', status => status.appliedIndex],
  ['machine_version', 'Rules by which the state is executed.', status => status.machineVersion],
  [
    'diverged',
    'Members whose states were not the same when they were compared last.',
    status => status.differing.length
  ],
  ['revision', 'Revision of the store.', status => status.revision],
  ['compacted_revision', 'Revision up to which the history has been compacted.', status => status.compactedRevision],
  ['voters', 'Voters of the membership.', status => countOf(status, 'voter')],
  ['learners', 'Learners of the membership.', status => countOf(status, 'learner')],
  ['free_bytes', 'What may still be written to the disk of the data directory.', status => status.freeBytes],
  [
    'space_level',
    'How full that disk is: 0 ample, 1 low, 2 scarce, 3 none.',
    ({ space }) => spaceLevels.indexOf(space)
  ],
  ['log_bytes', 'Bytes of the log.', status => status.logBytes],
  ['state_bytes', 'Bytes of the state.', status => status.stateBytes]
]

function countOf(status: NodeStatus, role: 'voter' | 'learner'): number {
  return status.members.filter(member => member.role === role).length
}

function setCounters(group: object, counters: Map<string, Counter>, registry: Registry): void {
  for (const [key, value] of Object.entries(group) as [string, unknown][]) {
    if (typeof value !== 'number') continue
    const inMs = key.endsWith('Ms')
    let counter = counters.get(key)
    if (counter === undefined) {
      const words = key.replace(/Ms$/, 'Seconds').replaceAll(/[A-Z]/g, letter => ` ${letter.toLowerCase()}`)
      const name = `stretto_${words.replaceAll(' ', '_')}_total`
      const help = `Since the start: ${words}.`
      counter = new Counter({ name, help, registers: [registry] })
      counters.set(key, counter)
    }
    counter.reset()
    counter.inc(inMs ? value / 1_000 : value)
  }
}
