// The ceiling: what this machine does with the product's packages, formats and state, put together as simply as can be, and no
// consensus. Three processes and the product's own client. What the product lacks to it is what consensus and care cost.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { launcherFile } from '../bin/launcher.ts'
import { killAll, pidsOf } from './processes.ts'

export type CeilingRole =
  | { readonly role: 'follower'; readonly log: string; readonly state: string }
  | { readonly role: 'leader'; readonly log: string; readonly state: string; readonly followers: readonly string[] }

/** A leader and two followers that run until `stop`. */
export class Ceiling {
  readonly #folder = mkdtempSync(join(tmpdir(), 'stretto-ceiling-'))
  readonly #children: ChildProcess[] = []
  #endpoint = ''

  static async start(): Promise<Ceiling> {
    const ceiling = new Ceiling()
    try {
      const ports = [await ceiling.#spawn('follower', 0, []), await ceiling.#spawn('follower', 1, [])]
      const followers = ports.map(port => `127.0.0.1:${port}`)
      ceiling.#endpoint = `127.0.0.1:${await ceiling.#spawn('leader', 2, followers)}`
      return ceiling
    } catch (error) {
      await ceiling.stop()
      throw error
    }
  }

  get endpoints(): string[] {
    return [this.#endpoint]
  }

  get pids(): number[] {
    return pidsOf(this.#children)
  }

  async stop(): Promise<void> {
    await killAll(this.#children)
    rmSync(this.#folder, { recursive: true, force: true, maxRetries: 5 })
  }

  /** Gives the port of the process. */
  async #spawn(role: CeilingRole['role'], number: number, followers: readonly string[]): Promise<number> {
    const child = spawn(process.execPath, [launcherFile, 'bench-ceiling'], {
      stdio: ['ignore', 'ignore', 'inherit', 'ipc']
    })
    this.#children.push(child)
    const ended = once(child, 'close').then(() => Promise.reject(new Error('a process of the ceiling has ended')))
    ended.catch(() => {})
    const folders = { log: join(this.#folder, `log-${number}`), state: join(this.#folder, `state-${number}`) }
    child.send({ role, ...folders, followers })
    const [port] = (await Promise.race([once(child, 'message'), ended])) as [number]
    return port
  }
}
