// A copy of the sources in which a mutant lives: production code holds no hook for it, and nothing else runs it.
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type Patch, patched } from './mutant.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
/** What a detector is made of; packages are linked to. */
const copied = ['lib', 'test/mutants', 'test/sim', 'test/help', 'package.json', 'tsconfig.json']

export class Overlay {
  readonly folder: string

  /** Without patches it is the control: the code as it is, run in the same way. */
  constructor(patches: readonly Patch[]) {
    this.folder = mkdtempSync(join(tmpdir(), 'stretto-mutant-'))
    for (const name of copied) cpSync(join(root, name), join(this.folder, name), { recursive: true })
    symlinkSync(join(root, 'node_modules'), join(this.folder, 'node_modules'))
    for (const patch of patches) {
      const path = join(this.folder, patch.file)
      writeFileSync(path, patched(readFileSync(path, 'utf8'), patch))
    }
  }

  remove(): void {
    rmSync(this.folder, { recursive: true, force: true })
  }
}
