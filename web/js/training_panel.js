// Shows on a training node what it is doing, from its first moment: phase, time, memory, the loss as a line, and a button that ends training after
// its step. The server sends the whole curve, thinned (nodes/live/loss_line.py), so that a page that missed messages shows all of it with the next one.
import { app } from '../../../scripts/app.js'
import { api } from '../../../scripts/api.js'
import { nodeAt, rootGraph } from './execution_ids.js'
import { phrase, word } from './words.js'

const PHASE = 'anima_fast_train.phase'
const LOSS = 'anima_fast_train.loss'
const DONE = 'anima_fast_train.done'
const FINISH = '/anima_fast_train/finish'
const WIDGET = 'anima_training_loss'
const NODE_TYPES = new Set(['AnimaFastTrainReferenceContext', 'AnimaFastTrainMaskedReferenceContext', 'AnimaFastTrainMaskedLora'])
const HEIGHT = 168
const COLOURS = { loss: '#7db4ea', inside: '#f2709c', outside: '#aab4c2' }
const STYLE = `
  .anima-loss { box-sizing: border-box; width: 100%; height: 100%; min-height: 130px; max-height: ${HEIGHT}px; padding: 6px 8px; border-radius: 6px; background: #1b1e24; color: #e4e7ec;
    font: 11px/15px sans-serif; display: flex; flex-direction: column; overflow: hidden; user-select: text; }
  .anima-loss div { display: flex; justify-content: space-between; align-items: center; gap: 8px; white-space: nowrap; min-height: 15px; }
  .anima-loss .phase { font-weight: 600; overflow: hidden; text-overflow: ellipsis; }
  .anima-loss .legend { flex-wrap: wrap; gap: 0 8px; }
  .anima-loss svg { flex: 1 1 0; height: 0; min-height: 0; width: 100%; overflow: visible; margin: 4px 0; }
  .anima-loss path { fill: none; vector-effect: non-scaling-stroke; stroke-linecap: round; stroke-linejoin: round; }
  .anima-loss button { font: inherit; color: #0d1117; background: #7db4ea; border: 0; border-radius: 4px; padding: 2px 10px; cursor: pointer; }
  .anima-loss button:disabled { background: #3a404b; color: #c4cad4; cursor: default; }
  .anima-loss button[hidden] { display: none; }`
const TITLE = 'End training after this step and draw with what is learned so far'

const latest = new Map() // graph id + node id -> what it shows; tabs make their nodes anew when they are opened
const graphOfPrompt = new Map() // prompt id -> the id of the graph that was open when its first message came

function nodeOf(id) {
  const node = nodeAt(id)
  return node && NODE_TYPES.has(node.comfyClass) ? node : undefined
}

// The parts are made once: a button that is made anew while it is pressed hears no click.
function panel() {
  const element = document.createElement('div')
  element.className = 'anima-loss'
  element.innerHTML =
    '<div><span class="phase"></span><span class="time"></span></div><svg viewBox="0 0 100 100" preserveAspectRatio="none"></svg>' +
    '<div class="legend"></div><div><span class="memory"></span><button type="button" hidden></button></div>'
  const button = element.querySelector('button')
  button.textContent = word('Finish now')
  button.title = word(TITLE)
  button.addEventListener('click', () => finish(element))
  for (const kind of ['pointerdown', 'mousedown', 'dblclick']) button.addEventListener(kind, (event) => event.stopPropagation())
  return element
}

function widgetOf(node) {
  const existing = node.widgets?.find((widget) => widget.name === WIDGET)
  if (existing) return existing
  const widget = node.addDOMWidget(WIDGET, 'anima_loss_line', panel(), {
    serialize: false, // not sent with the prompt
    hideOnZoom: false,
    getMinHeight: () => HEIGHT,
    getMaxHeight: () => HEIGHT
  })
  widget.serialize = false // not saved either: widget values are saved by place
  node.setSize([node.size[0], Math.max(node.size[1], node.computeSize()[1])])
  return widget
}

async function finish(element) {
  const shown = element.shown
  if (!shown || shown.ended) return
  shown.finishing = true
  draw(element, shown)
  const answer = await api
    .fetchApi(FINISH, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify({ node: String(shown.node), prompt_id: shown.prompt_id })
    })
    .catch((error) => ({ ok: false, statusText: String(error) }))
  if (answer.ok || shown.ended) return
  shown.finishing = false
  draw(element, shown)
  app.extensionManager?.toast?.add({ severity: 'warn', summary: word('Finish now'), detail: `${word('The training could not be finished')}: ${answer.statusText}`, life: 8000 })
}

const figure = (value) => (value === null || value === undefined ? '–' : value < 0.001 && value > 0 ? value.toExponential(1) : value.toFixed(4))

function path(points, place) {
  let drawing = false
  return points
    .map((point) => {
      if (point[1] === null) return '' // no loss that could be drawn
      const command = drawing ? 'L' : 'M'
      drawing = true
      return command + place(point)
    })
    .join('')
}

function curve({ step, line, evaluations }) {
  const inside = evaluations.map(([at, value]) => [at, value])
  const outside = evaluations.map(([at, , value]) => [at, value]).filter(([, value]) => value > 0)
  const highest = Math.max(...[line, inside, outside].flat().map(([, value]) => value ?? 0), 1e-9)
  // Over the steps so far, so that the start of a long run can be read; the text says how many are to come.
  const place = ([at, value]) => `${((100 * at) / step).toFixed(2)} ${(100 - (95 * value) / highest).toFixed(2)}`
  const stroke = (kind, points, width) => `<path class="${kind}" stroke="${COLOURS[kind]}" stroke-width="${width}" d="${path(points, place)}"/>`
  const dots = (kind, points) =>
    `<path class="${kind}-dots" stroke="${COLOURS[kind]}" stroke-width="6" d="${points.map((point) => `M${place(point)}h0`).join('')}"/>`
  return (
    '<path stroke="#3a404b" stroke-width="1" d="M0 100H100"/>' +
    stroke('outside', outside, 1) + stroke('inside', inside, 1) + stroke('loss', line, 1.8) + dots('outside', outside) + dots('inside', inside)
  )
}

// While training: the latest measurement. Afterwards: that of the tokens that were kept, as in info.
function legend({ line, evaluations, loss, kept }) {
  const at = kept === undefined ? evaluations.at(-1) : evaluations.find(([step]) => step === kept)
  const text = (kind, place) => {
    if (!evaluations.length || (kind === 'outside' && !evaluations[0][place])) return ''
    const [before, now] = [evaluations[0][place], at?.[place]]
    return `<span style="color: ${COLOURS[kind]}">${word(kind)} ${at && at[0] > 0 ? `${figure(before)} → ${figure(now)}` : figure(before)}</span>`
  }
  const shown = kept === undefined ? line.at(-1)?.[1] : loss
  return `<span style="color: ${COLOURS.loss}">${word('loss')} ${figure(shown)}</span>${text('inside', 1)}${text('outside', 2)}`
}

function draw(element, shown) {
  element.shown = shown
  const part = (name) => element.querySelector(name)
  const waiting = shown.finishing && !shown.ended
  part('.phase').textContent = phrase(waiting ? `${shown.phase}, finishing` : shown.phase)
  part('.time').textContent = shown.ended ? (shown.seconds ? `${shown.seconds} s` : '') : phrase(shown.left ?? '') || (shown.seconds >= 1 ? `${Math.round(shown.seconds)} s` : '')
  part('.memory').textContent = shown.memory ? `${word('peak memory')} ${shown.memory}` : ''
  const button = part('button')
  button.hidden = Boolean(shown.ended)
  button.disabled = Boolean(shown.finishing)
  if (shown.line) {
    part('svg').innerHTML = curve(shown)
    part('.legend').innerHTML = legend(shown)
  } else {
    part('svg').innerHTML = part('.legend').innerHTML = ''
  }
}

function show(shown) {
  const node = nodeOf(shown.node)
  if (!node) return
  draw(widgetOf(node).element, shown)
  node.setDirtyCanvas?.(true, true)
}

// A verdict of an earlier run must not stand beside the steps of this one, or beside a run that was cancelled.
function emptyTexts(node) {
  const outputs = node.outputs?.filter((output) => output.name === 'info') ?? []
  for (const link of outputs.flatMap((output) => output.links ?? [])) {
    const target = node.graph.getNodeById((node.graph.links.get?.(link) ?? node.graph.links[link])?.target_id)
    if (target?.type !== 'PreviewAny') continue
    for (const widget of target.widgets ?? []) if (typeof widget.value === 'string') widget.value = ''
  }
}

function receive({ detail, type }) {
  const open = rootGraph()?.id
  if (!graphOfPrompt.has(detail.prompt_id)) graphOfPrompt.set(detail.prompt_id, open)
  const graph = graphOfPrompt.get(detail.prompt_id)
  const key = `${graph} ${detail.node}`
  const before = latest.get(key)
  const goesOn = before?.prompt_id === detail.prompt_id && !before.ended
  if (!goesOn && graph === open && nodeOf(detail.node)) emptyTexts(nodeOf(detail.node))
  const shown = Object.assign(goesOn ? before : {}, detail)
  if (type === DONE) shown.ended = 'done'
  latest.set(key, shown)
  if (graph === open) show(shown)
}

// What ended without a last message of its own was cancelled, or failed; the sentence of a failure stands on the node.
function end(prompt, how) {
  for (const shown of latest.values()) {
    if (shown.prompt_id !== prompt || shown.ended) continue
    Object.assign(shown, { ended: how, phase: shown.step ? `${how} at step ${shown.step} of ${shown.steps}` : `${how} while ${shown.phase}`, seconds: 0, left: '' })
    if (graphOfPrompt.get(prompt) === rootGraph()?.id) show(shown)
  }
}

app.registerExtension({
  name: 'AnimaFastTrain.TrainingPanel',
  setup() {
    document.head.append(Object.assign(document.createElement('style'), { textContent: STYLE }))
    for (const event of [PHASE, LOSS, DONE]) api.addEventListener(event, receive)
    api.addEventListener('execution_interrupted', ({ detail }) => end(detail.prompt_id, 'cancelled'))
    api.addEventListener('execution_error', ({ detail }) => end(detail.prompt_id, 'stopped'))
  },
  afterConfigureGraph() {
    const open = rootGraph()?.id
    for (const [key, shown] of latest) if (key === `${open} ${shown.node}`) show(shown)
  }
})
