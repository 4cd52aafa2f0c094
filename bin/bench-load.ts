// The load generator's process: takes jobs from the benchmark, one at a time, and answers with what it measured.
import type { Command } from 'commander'
import type { LoadReply, LoadRequest } from '../bench/cluster-bench.ts'
import { fillKeys, runLoad } from '../bench/load.ts'
import { type Client, connect } from '../lib/client/client.ts'
import { faultText, UsageError } from '../lib/server/usage-error.ts'

export function benchLoad(command: Command): void {
  command.action(serveLoads)
}

async function serveLoads(): Promise<void> {
  if (process.send === undefined) throw new UsageError("this is a part of 'stretto bench' and does nothing by itself")
  process.on('SIGINT', () => {}) // Ctrl-C is for the benchmark, whose end is the end of this process
  let db: Client<Uint8Array> | null = null
  process.on('message', (request: LoadRequest) => {
    answer(request).catch((error: unknown) => tell({ kind: 'failed', text: faultText(error) }))
  })
  await new Promise(resolve => process.once('disconnect', resolve))

  async function answer(request: LoadRequest): Promise<void> {
    if (request.kind === 'fill') {
      db = connect(request.endpoints, { valueEncoding: 'bytes' })
      await fillKeys(db, request.keys, request.valueBytes)
      tell({ kind: 'filled' })
    } else {
      if (db === null) throw new Error('a run before the keys were filled')
      tell({ kind: 'result', result: await runLoad(db, request.job, at => tell({ kind: 'mark', at })) })
    }
  }
}

function tell(reply: LoadReply): void {
  process.send?.(reply)
}
