/**
 * @file What is said of something that was thrown, which may be anything: a limiter
 * of the user's own is asked for most of what is shown.
 */

export function messageOf (thrown: unknown): string {
  try {
    const { message } = thrown as { message?: unknown }

    return typeof message === 'string' ? message : String(thrown)
  } catch {
    return 'Something was thrown that has no message'
  }
}
