// The version of the program, as its package says; the package lies two folders up in sources and three in the built form.
import { existsSync, readFileSync } from 'node:fs'

export const packageVersion: string = readVersion()

function readVersion(): string {
  const file = ['../../package.json', '../../../package.json']
    .map(path => new URL(path, import.meta.url))
    .find(url => existsSync(url))
  if (file === undefined) return 'unknown'
  const description = JSON.parse(readFileSync(file, 'utf8')) as { readonly version?: string }
  return description.version ?? 'unknown'
}
