// The version of the program, as its package says.
import { readFileSync } from 'node:fs'
import { rootDirectory } from './launcher.ts'

export const version = readVersion()

function readVersion(): string {
  const description: unknown = JSON.parse(readFileSync(new URL('package.json', rootDirectory), 'utf8'))
  if (typeof description === 'object' && description !== null && 'version' in description)
    return String(description.version)
  return 'unknown'
}
