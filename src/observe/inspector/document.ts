/**
 * @file The page itself: a shell that its script fills, and what a browser may do
 * with it.
 */

import { createHash } from 'node:crypto'
import { IMPORT_MAP, MAIN_SCRIPT, STYLESHEETS } from './files.ts'

/**
 * Nothing but what this server serves is loaded, run, sent to or framed by
 */
export const CONTENT_SECURITY_POLICY = [
  'default-src \'none\'',
  `script-src 'self' 'sha256-${createHash('sha256').update(IMPORT_MAP).digest('base64')}'`,
  'style-src \'self\'',
  'img-src data:',
  'connect-src \'self\'',
  'base-uri \'none\'',
  'form-action \'none\'',
  'frame-ancestors \'none\'',
  'require-trusted-types-for \'script\'',
  'trusted-types \'none\''
].join('; ')

export const SECURITY_HEADERS: Record<string, string> = {
  'content-security-policy': CONTENT_SECURITY_POLICY,
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
  'cache-control': 'no-store'
}

/** A shield */
const ICON = 'data:image/svg+xml,%3Csvg xmlns=%22http://www.w3.org/2000/svg%22 viewBox=%220 0 16 16%22%3E%3Cpath fill=%22%233b82f6%22 d=%22M8 1l6 2v5c0 4-3 6-6 7-3-1-6-3-6-7V3z%22/%3E%3C/svg%3E'

/**
 * @param secret - of base64url, which needs no escapes
 */
export function documentWith (secret: string): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="inspector-secret" content="${secret}">
<title>Resource manager</title>
<link rel="icon" href="${ICON}">
${STYLESHEETS.map(path => `<link rel="stylesheet" href="${path}">`).join('\n')}
<script type="importmap">${IMPORT_MAP}</script>
<script type="module" src="${MAIN_SCRIPT}"></script>
</head>
<body>
<noscript>The inspector needs JavaScript.</noscript>
<div id="inspector"></div>
</body>
</html>
`
}
