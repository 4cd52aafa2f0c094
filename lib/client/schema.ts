// Typed corners: a validator of the Standard Schema kind (zod, valibot, arktype, ...) as an encoding of values.
import { StrettoError } from '../base/errors.ts'
import { type Codec, codecOf } from './encoding.ts'

/** What such validators have in common, version 1 of https://standardschema.dev. */
export interface StandardSchema<Input = unknown, Output = Input> {
  readonly '~standard': {
    readonly version: 1
    readonly vendor: string
    readonly validate: (value: unknown) => Validated<Output> | Promise<Validated<Output>>
    readonly types?: { readonly input: Input; readonly output: Output } | undefined
  }
}

type Validated<Output> = { readonly value: Output; readonly issues?: undefined } | { readonly issues: readonly Issue[] }

interface Issue {
  readonly message: string
  readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined
}

/** In a message; a value may be wrong in very many places. */
const issuesShown = 5

/** The codec that a codec, the name of an encoding or a schema stands for. @throws StrettoError BAD_REQUEST */
export function codecFor(described: unknown): Codec<unknown> {
  return isSchema(described) ? checked(described) : codecOf(described)
}

/** Values as JSON, which the schema has passed on the way in, and passes again on the way out. */
function checked(schema: StandardSchema): Codec<unknown> {
  const json = codecOf('json')
  return {
    encode: value => json.encode(validate(schema, value)),
    decode: bytes => validate(schema, json.decode(bytes))
  }
}

/** @throws StrettoError BAD_REQUEST with what is wrong */
function validate(schema: StandardSchema, value: unknown): unknown {
  const validated = schema['~standard'].validate(value)
  if (validated instanceof Promise) {
    // Whatever comes of it, nobody waits.
    validated.catch(() => {})
    throw new StrettoError('BAD_REQUEST', 'a schema that validates later: values are encoded at once')
  }
  if (validated.issues === undefined) return validated.value
  const { issues } = validated
  const shown = issues.slice(0, issuesShown).map(issueText)
  if (issues.length > issuesShown) shown.push(`and ${issues.length - issuesShown} more`)
  throw new StrettoError('BAD_REQUEST', `the value does not fit its schema: ${shown.join('; ')}`)
}

/** "address.city: expected a text" */
function issueText({ path = [], message }: Issue): string {
  const names = path.map(part => String(typeof part === 'object' ? part.key : part))
  return names.length === 0 ? message : `${names.join('.')}: ${message}`
}

function isSchema(described: unknown): described is StandardSchema {
  if ((typeof described !== 'object' && typeof described !== 'function') || described === null) return false
  const { '~standard': standard } = described as Partial<StandardSchema>
  return typeof standard === 'object' && typeof standard.validate === 'function'
}
