/**
 * @file The enforced limits, to be changed: what a change would do is shown first.
 */

import { h } from 'preact'
import { useEffect, useState } from 'preact/hooks'
import { applyLimits, previewLimits, readLimits } from './api.ts'
import { Changes } from './changes.ts'
import { limitsOf, NAMED, pathOf, placeOf } from './edits.ts'
import { LimitsTree } from './limits-tree.ts'
import type { Edit, Edits } from './edits.ts'
import type { Change, ErrorAnswer, LimitsAnswer, LimitTree } from './messages.ts'
import type { TargetedEvent, VNode } from 'preact'

export interface LimitsFormProps {
  /** Which limit is to be changed; another object each time somebody asks for it */
  target?: { option: string }
}

interface Previewed {
  limits: LimitTree
  changes: Change[]
}

const NO_EDITS: Edits = new Map()

export function LimitsForm ({ target }: LimitsFormProps): VNode<any> {
  const [answer, setAnswer] = useState<LimitsAnswer>()
  const [edits, setEdits] = useState(NO_EDITS)
  const [open, setOpen] = useState<ReadonlySet<string>>(new Set())
  const [added, setAdded] = useState<ReadonlyMap<string, readonly string[]>>(new Map())
  const [error, setError] = useState<ErrorAnswer>()
  const [preview, setPreview] = useState<Previewed>()
  const [note, setNote] = useState('')

  const load = async (): Promise<void> => {
    try {
      setAnswer(await readLimits())
    } catch (err: any) {
      setError(err.answer ?? { message: err.message })
    }
  }

  useEffect(() => { void load() }, [])

  const add = (key: string, name: string): void => {
    setAdded(added => new Map([...added, [key, [...new Set([...added.get(key) ?? [], name])]]]))
    setOpen(open => new Set([...open, pathOf({ key }), pathOf({ key, name })]))
  }

  useEffect(() => {
    const place = target === undefined ? undefined : placeOf(target.option)

    if (place !== undefined && answer !== undefined) {
      if (place.name !== undefined) {
        add(place.key, place.name)
      }

      setOpen(open => new Set([...open, pathOf({ key: place.key })]))
      // what is opened now is there in a moment
      setTimeout(() => { reveal(pathOf({ ...place, field: place.field ?? (place.key in NAMED || place.name !== undefined ? 'memory' : place.field) })) }, 50)
    }
  }, [target, answer === undefined])

  const edit = (edit: Edit): void => {
    const path = pathOf(edit)
    setEdits(edits => new Map([...edits, [path, edit]]))
    setPreview(undefined)
    setNote('')
    setError(error => error?.path?.startsWith(path) === true ? undefined : error)
  }

  const undo = (path: string): void => {
    setEdits(edits => new Map([...edits].filter(([other]) => other !== path)))
    setPreview(undefined)
    setError(undefined)
  }

  const ask = async (act: () => Promise<void>): Promise<void> => {
    setError(undefined)
    setNote('')

    try {
      await act()
    } catch (err: any) {
      setPreview(undefined)
      setError(err.answer ?? { message: err.message })
    }
  }

  const onSubmit = (event: TargetedEvent<HTMLFormElement>): void => {
    event.preventDefault()
    void ask(async () => {
      const limits = limitsOf(edits)
      setPreview({ limits, ...await previewLimits(limits) })
    })
  }

  const onApply = (): void => {
    void ask(async () => {
      if (preview !== undefined) {
        const { changes } = await applyLimits(preview.limits)
        setNote(`Applied ${changes.length} ${changes.length === 1 ? 'change' : 'changes'}. They last until the node ends.`)
        setEdits(NO_EDITS)
        setPreview(undefined)
        await load()
      }
    })
  }

  const onDiscard = (): void => {
    setEdits(NO_EDITS)
    setPreview(undefined)
    setError(undefined)
    setNote('')
    void load()
  }

  return h('section', { class: 'panel limits', id: 'limits', 'aria-labelledby': 'limits-title' },
    h('h2', { id: 'limits-title' }, 'Limits'),
    h('form', { onSubmit, noValidate: true, autocomplete: 'off' },
      answer === undefined ? h('p', { class: 'empty' }, 'Loading') : h(LimitsTree, { limits: answer.limits, edits, added, open, error, onEdit: edit, onUndo: undo, onOpen: (path, isOpen) => { setOpen(new Set(isOpen ? [...open, path] : [...open].filter(other => other !== path))) }, onAdd: add }),
      h('div', { class: 'side' },
        h(Changes, { edits, preview: preview?.changes, error, note }),
        h('div', { class: 'actions' },
          h('button', { type: 'submit', class: 'primary', disabled: edits.size === 0 }, 'Preview'),
          answer?.allowChanges === true ? h('button', { type: 'button', class: 'apply', disabled: preview === undefined || preview.changes.length === 0, onClick: onApply }, 'Apply') : null,
          h('button', { type: 'button', disabled: edits.size === 0, onClick: onDiscard }, 'Discard')),
        answer?.allowChanges === false
          ? h('p', { class: 'empty' }, 'This page may look and preview, but not change. To allow it: ', h('code', null, 'serveInspector(manager, { allowChanges: true })'))
          : null)))
}

function reveal (path: string): void {
  const element = document.getElementById(path) ?? document.getElementById(path.replace(/\.\w+$/, '')) ?? document.getElementById('limits')
  element?.scrollIntoView({ block: 'center' })
  element?.focus()
}
