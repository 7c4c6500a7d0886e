// Draws the loss of a running training on its node, and leaves the line there. The server sends the whole curve, thinned, a few times a
// second (nodes/live/loss_line.py), so that a page that missed messages shows all of it with the next one.
import { app } from '../../../scripts/app.js'
import { api } from '../../../scripts/api.js'
import { nodeAt, rootGraph } from './execution_ids.js'

const EVENT = 'anima_fast_train.loss'
const WIDGET = 'anima_training_loss'
const NODE_TYPES = new Set(['AnimaFastTrainReferenceContext', 'AnimaFastTrainMaskedReferenceContext'])
const HEIGHT = 130
const COLOURS = { loss: '#7db4ea', inside: '#f2709c', outside: '#aab4c2' }
const STYLE = `
  .anima-loss { box-sizing: border-box; width: 100%; height: 100%; min-height: 100px; max-height: ${HEIGHT}px; padding: 5px 8px; border-radius: 6px; background: #1b1e24; color: #e4e7ec;
    font: 11px/15px sans-serif; display: flex; flex-direction: column; overflow: hidden; pointer-events: none; }
  .anima-loss div { display: flex; justify-content: space-between; gap: 8px; white-space: nowrap; }
  .anima-loss svg { flex: 1 1 0; height: 0; min-height: 0; width: 100%; overflow: visible; margin: 4px 0; }
  .anima-loss path { fill: none; vector-effect: non-scaling-stroke; stroke-linecap: round; stroke-linejoin: round; }`

const latest = new Map() // graph id + node id -> the last message for it; tabs make their nodes anew when they are opened
const graphOfPrompt = new Map() // prompt id -> the id of the graph that was open when its first message came

function nodeOf(id) {
  const node = nodeAt(id)
  return node && NODE_TYPES.has(node.comfyClass) ? node : undefined
}

function widgetOf(node) {
  const existing = node.widgets?.find((widget) => widget.name === WIDGET)
  if (existing) return existing
  const element = document.createElement('div')
  element.className = 'anima-loss'
  const widget = node.addDOMWidget(WIDGET, 'anima_loss_line', element, {
    serialize: false, // not sent with the prompt
    hideOnZoom: false,
    getMinHeight: () => HEIGHT,
    getMaxHeight: () => HEIGHT
  })
  widget.serialize = false // not saved either: widget values are saved by place
  node.setSize([node.size[0], Math.max(node.size[1], node.computeSize()[1])])
  return widget
}

const shown = (value) => (value === null ? '–' : value < 0.01 ? value.toExponential(1) : value.toFixed(3))

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

function draw(element, { step, steps, line, evaluations }) {
  const inside = evaluations.map(([at, value]) => [at, value])
  const outside = evaluations.map(([at, , value]) => [at, value]).filter(([, value]) => value > 0)
  const highest = Math.max(...[line, inside, outside].flat().map(([, value]) => value ?? 0), 1e-9)
  // Over the steps so far, so that the start of a long run can be read; the text says how many are to come.
  const place = ([at, value]) => `${((100 * at) / step).toFixed(2)} ${(100 - (95 * value) / highest).toFixed(2)}`
  const stroke = (kind, points, width) => `<path class="${kind}" stroke="${COLOURS[kind]}" stroke-width="${width}" d="${path(points, place)}"/>`
  const dots = (kind, points) =>
    `<path class="${kind}-dots" stroke="${COLOURS[kind]}" stroke-width="6" d="${points.map((point) => `M${place(point)}h0`).join('')}"/>`
  const legend = (kind, points) => {
    if (!points.length) return ''
    const [first, last] = [points[0][1], points.at(-1)[1]].map(shown)
    return `<span style="color: ${COLOURS[kind]}">${kind} ${points.length > 1 ? `${first} → ${last}` : first}</span>`
  }
  element.innerHTML =
    `<div><span>step ${step} / ${steps}</span><span style="color: ${COLOURS.loss}">loss ${shown(line.at(-1)?.[1] ?? null)}</span></div>` +
    '<svg viewBox="0 0 100 100" preserveAspectRatio="none">' +
    `<path stroke="#3a404b" stroke-width="1" d="M0 100H100"/>` +
    stroke('outside', outside, 1) + stroke('inside', inside, 1) + stroke('loss', line, 1.8) +
    dots('outside', outside) + dots('inside', inside) +
    `</svg><div>${legend('inside', inside)}${legend('outside', outside)}</div>`
}

function show(message) {
  const node = nodeOf(message.node)
  if (!node) return
  draw(widgetOf(node).element, message)
  node.setDirtyCanvas?.(true, true)
}

app.registerExtension({
  name: 'AnimaFastTrain.LossLine',
  setup() {
    document.head.append(Object.assign(document.createElement('style'), { textContent: STYLE }))
    api.addEventListener(EVENT, ({ detail }) => {
      const open = rootGraph()?.id
      if (!graphOfPrompt.has(detail.prompt_id)) graphOfPrompt.set(detail.prompt_id, open)
      const graph = graphOfPrompt.get(detail.prompt_id)
      latest.set(`${graph} ${detail.node}`, detail)
      if (graph === open) show(detail)
    })
  },
  afterConfigureGraph() {
    const open = rootGraph()?.id
    for (const [key, message] of latest) if (key === `${open} ${message.node}`) show(message)
  }
})
