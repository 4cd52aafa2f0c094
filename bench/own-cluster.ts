// Three nodes on loopback for one measurement, with their data in a folder that goes with them.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { freePorts, LocalCluster } from '../bin/local-cluster.ts'
import type { NodeStatus } from '../lib/server/status.ts'

export class OwnCluster extends LocalCluster {
  readonly nodes: ReadonlyMap<string, string>
  /** Elections that its present nodes have won. */
  elections = 0
  readonly #folder: string

  private constructor(folder: string, nodes: ReadonlyMap<string, string>) {
    const line = (_id: string, text: string): void => void (this.elections += text.includes('"role":"leader"') ? 1 : 0)
    super({ dataDir: folder, nodes, line, ended: () => {} })
    this.#folder = folder
    this.nodes = nodes
  }

  /** Comes back when all of them serve. */
  static async begin(): Promise<OwnCluster> {
    const ports = await freePorts(3)
    const nodes = new Map(ports.map((port, at) => [`n${at + 1}`, `127.0.0.1:${port}`]))
    const cluster = new OwnCluster(mkdtempSync(join(tmpdir(), 'stretto-bench-')), nodes)
    await cluster.start()
    return cluster
  }

  async status(id: string): Promise<NodeStatus> {
    const answer = await fetch(`http://${this.nodes.get(id)!}/status`)
    return (await answer.json()) as NodeStatus
  }

  override async stop(): Promise<void> {
    await super.stop()
    rmSync(this.#folder, { recursive: true, force: true, maxRetries: 5 })
  }
}
