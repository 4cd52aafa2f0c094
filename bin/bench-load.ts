// The load generator's process: takes jobs from the benchmark, one at a time, and answers with what it measured.
import type { Command } from 'commander'
import type { LoadReply, LoadRequest } from '../bench/cluster-bench.ts'
import { runLoad } from '../bench/load.ts'
import { fillStore } from '../bench/workloads.ts'
import { type Client, connect } from '../lib/client/client.ts'
import { faultText, UsageError } from '../lib/server/usage-error.ts'

export function benchLoad(command: Command): void {
  command.action(serveLoads)
}

async function serveLoads(): Promise<void> {
  if (process.send === undefined) throw new UsageError("this is a part of 'stretto bench' and does nothing by itself")
  process.on('SIGINT', () => {}) // Ctrl-C is for the benchmark, whose end is the end of this process
  const clients: Client<Uint8Array>[] = []
  let endpoints: readonly string[] = []
  process.on('message', (request: LoadRequest) => {
    answer(request).catch((error: unknown) => tell({ kind: 'failed', text: faultText(error) }))
  })
  await new Promise(resolve => process.once('disconnect', resolve))

  async function answer(request: LoadRequest): Promise<void> {
    if (request.kind === 'fill') {
      endpoints = request.endpoints
      await fillStore(await clientsUpTo(1).then(([first]) => first!), request.store)
      tell({ kind: 'filled' })
    } else {
      const some = await clientsUpTo(request.connections)
      tell({ kind: 'result', result: await runLoad(some, request.job, at => tell({ kind: 'mark', at })) })
    }
  }

  /** The first so many, each with its connection. */
  async function clientsUpTo(count: number): Promise<readonly Client<Uint8Array>[]> {
    while (clients.length < count) clients.push(connect(endpoints, { valueEncoding: 'bytes' }))
    const some = clients.slice(0, count)
    await Promise.all(some.map(db => db.ready()))
    return some
  }
}

function tell(reply: LoadReply): void {
  process.send?.(reply)
}
