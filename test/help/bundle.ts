// Code for a web page, bundled as users of the package bundle it.
import { build } from 'esbuild'

export interface Bundle {
  readonly text: string
  /** The files that something came from, relative to the project. */
  readonly files: readonly string[]
}

/** Minified, as an ES module. Rejects where the code needs what a page does not have. */
export async function bundle(source: string): Promise<Bundle> {
  const { outputFiles, metafile } = await build({
    stdin: { contents: source, resolveDir: process.cwd(), loader: 'ts' },
    bundle: true,
    platform: 'browser',
    format: 'esm',
    target: 'es2022',
    minify: true,
    metafile: true,
    write: false,
    logLevel: 'silent'
  })
  return { text: outputFiles[0]!.text, files: Object.keys(metafile.inputs) }
}
