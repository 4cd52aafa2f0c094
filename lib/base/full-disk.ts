// Whether an error comes from a full disk, whoever has wrapped it.

export function lacksSpace(error: unknown): boolean {
  for (let at = error; at instanceof Error; at = at.cause) {
    const code: unknown = 'code' in at ? at.code : null
    if (code === 'NO_SPACE' || code === 'ENOSPC' || /no space left/i.test(at.message)) return true
  }
  return false
}
