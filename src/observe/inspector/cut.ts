/**
 * @file Names come from remotes, who may choose long ones.
 */

const LONGEST = 256

export function cut (text: string, longest: number = LONGEST): string {
  return text.length <= longest ? text : `${text.slice(0, longest)}…`
}
