/**
 * @file The scenarios that need the allowlist, the limit per address or the rate
 * limit, which come with the admission layer.
 */

export const PENDING: readonly string[] = [
  'conn-numbering',
  'conn-per-ip-limit',
  'conn-without-ip',
  'conn-rate-limit',
  'allowlist-not-used-while-there-is-room',
  'allowlist-fallback',
  'allowlist-own-limits',
  'allowlist-memory-of-fallback-conn',
  'allowlist-wrong-peer-moves-to-standard',
  'quirk-allowlist-wrong-peer-refused-by-system',
  'quirk-allowlist-retry-after-refused-move',
  'allowlist-fallback-not-in-ip-count',
  'quirk-moved-conn-escapes-ip-limit',
  'allowlist-at-runtime',
  'allowlist-does-not-reach-streams',
  'allowlist-needs-ip',
  'allowlist-full-host-sum-of-peers'
]
