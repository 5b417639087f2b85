/**
 * @file Names and addresses, which others have a say in, as a log or a terminal
 * can show them: one line that stays one, and nothing that it would obey.
 */

/** Nearly all there is */
const PLAIN = /^[ -~]*$/

/**
 * What nobody could read, or could take for another line
 */
const UNPRINTABLE = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu

export function printable (text: string): string {
  return PLAIN.test(text) ? text : text.replace(UNPRINTABLE, '�')
}
