// How this program starts itself again in a process of its own: through its launcher, which finds sources or built files.
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

/** Where package.json and bin/ are: one level up from here in a clone, two in a built package. */
export const rootDirectory = ['../', '../../']
  .map(path => new URL(path, import.meta.url))
  .find(url => existsSync(new URL('package.json', url)))!

/** The file to run with `process.execPath`. */
export const launcherFile = fileURLToPath(new URL('bin/stretto.js', rootDirectory))
