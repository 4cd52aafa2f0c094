// A command that goes on in a process of its own, and what it has said so far.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { launcherFile } from '../../bin/launcher.ts'

export class Running {
  out = ''
  err = ''
  readonly child: ChildProcess
  readonly #closed: Promise<unknown>

  constructor(args: readonly string[]) {
    this.child = spawn(process.execPath, [launcherFile, ...args], { env: { ...process.env, NO_COLOR: '1' } })
    this.child.stdout!.setEncoding('utf8').on('data', (text: string) => {
      this.out += text
    })
    this.child.stderr!.setEncoding('utf8').on('data', (text: string) => {
      this.err += text
    })
    this.#closed = once(this.child, 'close')
  }

  /** Until its output matches; fails where it ends before. */
  async said(pattern: RegExp): Promise<RegExpExecArray> {
    for (;;) {
      const found = pattern.exec(this.out)
      if (found !== null) return found
      if (this.child.exitCode !== null) throw new Error(`it ended with ${this.child.exitCode}: ${this.out}${this.err}`)
      await Promise.race([once(this.child.stdout!, 'data'), this.#closed])
    }
  }

  async ended(): Promise<number | null> {
    await this.#closed
    return this.child.exitCode
  }

  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<number | null> {
    this.child.kill(signal)
    return await this.ended()
  }
}
