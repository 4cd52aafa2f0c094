// The table of commands: each is loaded when it is called, so that none pays for the others.
import type { Command } from 'commander'

export interface CommandEntry {
  readonly name: string
  readonly summary: string
  /** Left out of the help. */
  readonly hidden?: boolean
  /** Gives the function that adds arguments, options and the action. */
  readonly load: () => Promise<(command: Command) => void>
}

export const commands: readonly CommandEntry[] = [
  { name: 'start', summary: 'run one node', load: async () => (await import('./start.ts')).start },
  {
    name: 'cluster',
    summary: 'run a cluster on this machine',
    load: async () => (await import('./cluster.ts')).cluster
  },
  {
    name: 'demo',
    summary: 'show a cluster survive the loss of its leader, unattended',
    load: async () => (await import('./demo.ts')).demo
  },
  { name: 'put', summary: 'write a key', load: async () => (await import('./put.ts')).put },
  { name: 'get', summary: 'read a key, or a range of keys', load: async () => (await import('./get.ts')).get },
  { name: 'del', summary: 'delete a key, or a range of keys', load: async () => (await import('./del.ts')).del },
  { name: 'incr', summary: 'add to a counter', load: async () => (await import('./incr.ts')).incr },
  { name: 'txn', summary: 'do several things at once, or none', load: async () => (await import('./txn.ts')).txn },
  {
    name: 'lease',
    summary: 'grant, renew, revoke and list leases',
    load: async () => (await import('./lease.ts')).lease
  },
  { name: 'watch', summary: 'print changes as they come', load: async () => (await import('./watch.ts')).watch },
  {
    name: 'lock',
    summary: 'hold a lock while a command runs',
    load: async () => (await import('./lock.ts')).lock
  },
  {
    name: 'elect',
    summary: 'campaign for leadership, or show who leads',
    load: async () => (await import('./elect.ts')).elect
  },
  {
    name: 'compact',
    summary: 'let go of the past before a revision',
    load: async () => (await import('./compact.ts')).compact
  },
  { name: 'status', summary: 'show the nodes of a cluster', load: async () => (await import('./status.ts')).status },
  {
    name: 'inspect',
    summary: 'look at the data directory of a stopped node',
    load: async () => (await import('./inspect.ts')).inspect
  },
  {
    name: 'repair',
    summary: 'mend the data directory of a stopped node',
    load: async () => (await import('./repair.ts')).repair
  },
  {
    name: 'recover',
    summary: 'found a cluster anew on what is left of it',
    load: async () => (await import('./recover.ts')).recover
  },
  {
    name: 'snapshot',
    summary: 'save, verify and restore backups',
    load: async () => (await import('./snapshot.ts')).snapshot
  },
  {
    name: 'members',
    summary: 'show the members of a cluster, and change them',
    load: async () => (await import('./members.ts')).members
  },
  {
    name: 'plan',
    summary: 'show what a change of the members would do, without doing it',
    load: async () => (await import('./plan.ts')).plan
  },
  {
    name: 'transfer-leader',
    summary: 'hand leadership to another voter',
    load: async () => (await import('./transfer-leader.ts')).transferLeader
  },
  {
    name: 'upgrade',
    summary: 'show how far a rolling upgrade is',
    load: async () => (await import('./upgrade.ts')).upgrade
  },
  { name: 'bench', summary: 'measure a cluster', load: async () => (await import('./bench.ts')).bench },
  {
    name: 'bench-load',
    summary: 'the load generator of bench',
    hidden: true,
    load: async () => (await import('./bench-load.ts')).benchLoad
  },
  {
    name: 'bench-ceiling',
    summary: 'a process that bench compares with',
    hidden: true,
    load: async () => (await import('./bench-ceiling.ts')).benchCeiling
  },
  {
    name: 'check-history',
    summary: 'judge whether a recorded history is linearizable',
    load: async () => (await import('./check-history.ts')).checkHistory
  },
  {
    name: 'sim',
    summary: 'run a cluster through storms of faults in virtual time',
    load: async () => (await import('./sim.ts')).sim
  },
  {
    name: 'completion',
    summary: 'print a completion script for a shell',
    load: async () => (await import('./completion.ts')).completion
  }
]
