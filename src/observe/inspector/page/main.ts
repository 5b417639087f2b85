/**
 * @file Where the page begins.
 */

import { h, render } from 'preact'
import { App } from './app.ts'

const element = document.getElementById('inspector')

if (element !== null) {
  render(h(App, null), element)
}
