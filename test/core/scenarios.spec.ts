import { expect } from 'aegir/chai'
import { isResourceLimitExceeded } from '../../src/index.ts'
import { CallbackError, fullName, needsAdmission, resourceOf, ScenarioRun, scenarios, stateOf } from '../fixtures/vectors-scenarios.ts'
import { PENDING } from './pending-scenarios.ts'
import type { Expected, Outcome, Scenario, State, Step } from '../fixtures/vectors-scenarios.ts'

const ERRORS: Record<string, string> = {
  limit: 'ResourceLimitExceededError',
  closed: 'ScopeClosedError',
  negativeSize: 'InvalidReservationError',
  alreadyAttached: 'ScopeAttachedError',
  notAttached: 'ScopeNotAttachedError'
}

const UNKNOWN_DIRECTION = 'conn-unknown-direction'

describe('scope scenarios', () => {
  it('has as pending exactly the scenarios that need the admission layer', () => {
    expect([...PENDING].sort()).to.deep.equal(scenarios.filter(needsAdmission).map(({ id }) => id).sort())
  })

  it('has scenarios with names of their own', () => {
    expect(new Set(scenarios.map(({ id }) => id))).to.have.property('size', scenarios.length)
  })

  for (const scenario of scenarios) {
    if (PENDING.includes(scenario.id)) {
      it(`${scenario.id}: pending, needs the admission layer`)
    } else if (scenario.id !== UNKNOWN_DIRECTION) {
      it(nameOf(scenario), () => { play(scenario) })
    }
  }

  it(`${UNKNOWN_DIRECTION}: not as go, a direction that is neither inbound nor outbound is refused and changes nothing, because go counts it as outbound without a word (DESIGN 8)`, () => {
    const scenario = scenarios.find(({ id }) => id === UNKNOWN_DIRECTION)

    if (scenario == null) {
      throw new Error('The scenario is gone')
    }

    const run = new ScenarioRun(scenario)
    let opened = { connection: 0, stream: 0 }

    for (const step of scenario.steps) {
      const before = run.state()
      const outcome = run.run(step)

      if (step.dir === 'unknown') {
        expect(outcome.error).to.have.property('name', 'InvalidReservationError')
        expect(outcome.error.message).to.include('unknown')
        expect(outcome.blocked).to.be.empty()
        expect(run.state()).to.deep.equal(before)
      } else if (step.op === 'openConnection') {
        // go refuses this one, it has counted the connection before
        opened = { ...opened, connection: opened.connection + 1 }
        expect(outcome.scope).to.have.property('name', `conn-${opened.connection}`)
      } else {
        opened = { ...opened, stream: opened.stream + 1 }
        expect(outcome.scope).to.have.property('name', `stream-${opened.stream}`)
      }
    }

    expect(run.state().stats.system).to.deep.equal({ outboundConnections: 1, outboundStreams: 1, fileDescriptors: 1 })
    run.manager.close()
  })
})

function nameOf ({ id, goQuirk, steps }: Scenario): string {
  if (goQuirk == null) {
    return id
  }

  if (!steps.some(step => step.recommended != null)) {
    throw new Error(`${id} shows a quirk of go but no step says what is better`)
  }

  return `${id}: not as go, ${goQuirk.recommended}, because ${goQuirk.why}`
}

function play (scenario: Scenario): void {
  const run = new ScenarioRun(scenario)

  scenario.steps.forEach((step, index) => {
    const { expect: expected, after } = step.recommended ?? step
    const where = `step ${index + 1}, ${step.op} ${step.on ?? step.as ?? ''}`
    const before = run.state()
    const outcome = run.run(step)

    if (expected.ok) {
      expectSuccess(outcome, step, expected, where)
    } else {
      expectError(outcome, step, expected, where)
      expectCountsUnchanged(run.state(), before, where)
    }

    expect(run.state(), where).to.deep.equal(stateOf(after))
  })

  run.manager.close()
}

function expectSuccess (outcome: Outcome, step: Step, expected: Expected, where: string): void {
  expect(outcome.error, where).to.be.undefined()
  expect(outcome.blocked, where).to.be.empty()

  if (expected.scopeName != null) {
    expect(outcome.scope, where).to.have.property('name', fullName(expected.scopeName))
  }

  if (step.op === 'get') {
    expect(outcome.scope?.name, where).to.equal(expected.value == null ? undefined : fullName(expected.value))
  }
}

function expectError ({ error, blocked }: Outcome, step: Step, expected: Expected, where: string): void {
  if (expected.error === 'callback') {
    expect(error, where).to.be.an.instanceOf(CallbackError)
    expect(error, where).to.have.property('message', step.callbackThrows)
    expect(blocked, where).to.be.empty()
    return
  }

  expect(error, where).to.have.property('name', ERRORS[expected.error ?? ''] ?? 'unknown kind of error')
  expect(isResourceLimitExceeded(error), where).to.equal(expected.error === 'limit')

  if (expected.error === 'limit' || expected.error === 'closed') {
    expect(error, where).to.have.property('scope', fullName(expected.refusedBy ?? ''))
    expect(error.path, where).to.deep.equal(expected.path?.map(fullName))
  }

  if (expected.error !== 'limit') {
    expect(blocked, where).to.be.empty()
    return
  }

  expect(blocked, where).to.deep.equal([error])
  expect(error, where).to.have.property('resource', resourceOf(expected.resource ?? 'memory'))
  expect(error, where).to.have.property('current', expected.current)
  expect(error, where).to.have.property('attempted', expected.attempted)
  expect(error, where).to.have.property('limit', expected.limit)
  expect(error.priority, where).to.equal(expected.priority)
  expect(error, where).to.have.property('temporary', true)

  if (step.dir != null) {
    expect(error, where).to.have.property('direction', step.dir)
  }
}

function expectCountsUnchanged (state: State, before: State, where: string): void {
  expect(state.stats, where).to.deep.equal(before.stats)
}
