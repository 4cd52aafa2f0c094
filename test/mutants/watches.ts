// Mutants of what watches are promised: order, each change once, no gap, the truth about how far they are, whole revisions.
import type { Mutant, Patch } from './mutant.ts'

const restless = ['partition', 'isolate-leader', 'crash', 'reset', 'delay'] as const

/** The client no longer looks whether it has heard of a revision before. */
const takesAll: Patch = {
  file: 'lib/client/watch.ts',
  find: 'if (this.#initial || revision <= (this.revision ?? 0)) {',
  replace: 'if (this.#initial) {'
}

export const watches: readonly Mutant[] = [
  {
    name: 'goes-back-with-a-node-that-lags',
    invariant: 'IW1',
    also: ['IW2'],
    patches: [
      takesAll,
      {
        file: 'lib/kv/watch/link-feed.ts',
        find: 'watch.position = request.after ?? 0',
        replace: 'watch.position = Math.min(request.after ?? 0, this.#centre.dispatched)'
      }
    ],
    by: { depth: 'deep', faults: restless }
  },
  {
    name: 'tells-again-what-came-before-the-link-broke',
    invariant: 'IW2',
    also: ['IW1'],
    patches: [
      takesAll,
      {
        file: 'lib/client/watch.ts',
        find: 'initial, after: this.revision,',
        replace: 'initial, after: this.revision === null ? null : this.revision - 1,'
      }
    ],
    by: { depth: 'deep', faults: restless }
  },
  {
    name: 'passes-over-a-revision-where-it-goes-on',
    invariant: 'IW3',
    also: ['IW4'],
    patches: [
      {
        file: 'lib/client/watch.ts',
        find: 'initial, after: this.revision,',
        replace: 'initial, after: this.revision === null ? null : this.revision + 1,'
      }
    ],
    by: { depth: 'deep', faults: restless }
  },
  {
    name: 'begins-at-the-present-where-it-was-to-go-on',
    invariant: 'IW3',
    also: ['IW4'],
    patches: [
      {
        file: 'lib/client/watch.ts',
        find: 'initial, after: this.revision,',
        replace: 'initial, after: null,'
      }
    ],
    by: { depth: 'deep', faults: restless }
  },
  {
    name: 'tells-how-far-it-is-before-what-lies-before',
    invariant: 'IW4',
    also: ['IW3'],
    patches: [
      {
        file: 'lib/kv/watch/link-feed.ts',
        find: '} else if (request.after !== null) {',
        replace: `} else if (request.after !== null) {
      if (request.after < parts.table.revision) this.sink.progress(parts.table.revision, [number])`
      }
    ],
    by: { depth: 'deep', faults: restless }
  },
  {
    name: 'tells-a-wrong-entry-before',
    invariant: 'IW5',
    also: [],
    patches: [
      {
        file: 'lib/kv/watch/hub.ts',
        find: 'modRevision, version: version.version, leaseId }',
        replace: 'modRevision, version: version.version + 1, leaseId }'
      }
    ],
    by: { depth: 'shallow', faults: [] }
  }
]
