// Shows the sentence with which a node of this pack refused, in a toast and on the node itself, since the frontend's own message only says that a node
// failed. Both go when there is another run.
import { app } from '../../../scripts/app.js'
import { api } from '../../../scripts/api.js'
import { nodeAt, rootGraph } from './execution_ids.js'

const WIDGET = 'anima_error_sentence'
const OWN_NODES = 'AnimaFastTrain'
const HEIGHT = 110
const LONGEST = 600 // characters; our own sentences are shorter, those of other libraries need not be
const TOAST_MILLISECONDS = 30_000
const STYLE = `
  .anima-error { box-sizing: border-box; width: 100%; height: 100%; max-height: ${HEIGHT}px; padding: 6px 9px; border-radius: 6px; border-left: 3px solid #e5484d;
    background: #2a1719; color: #ffd9d6; font: 12px/15px sans-serif; overflow-y: auto; overflow-wrap: anywhere; user-select: text; }`

const shown = new Map() // graph id + node id -> the message; tabs make their nodes anew when they are opened
const graphOfPrompt = new Map() // prompt id -> the id of the graph that was open when it began

let toast = null // the last one, which says nothing any more once there is another run

const keyOf = (graph, id) => `${graph} ${id}`

function sentenceOf(message) {
  const text = String(message ?? '').trim()
  const sentence = text.slice(0, LONGEST) || 'it says no reason; see the log of the server'
  return sentence[0].toUpperCase() + sentence.slice(1)
}

function widgetOf(node) {
  return node.widgets?.find((widget) => widget.name === WIDGET)
}

function show({ node_id, node_type, exception_message }) {
  const node = nodeAt(node_id)
  if (node?.comfyClass !== node_type) return
  let widget = widgetOf(node)
  if (!widget) {
    const element = document.createElement('div')
    element.className = 'anima-error'
    widget = node.addDOMWidget(WIDGET, 'anima_error_sentence', element, {
      serialize: false, // not sent with the prompt
      hideOnZoom: false,
      getMinHeight: () => HEIGHT,
      getMaxHeight: () => HEIGHT
    })
    widget.serialize = false // not saved either
    widget.heightBefore = node.size[1]
    node.setSize([node.size[0], Math.max(node.size[1], node.computeSize()[1])])
  }
  widget.element.textContent = sentenceOf(exception_message) // text, never markup: it may hold names of files
  node.setDirtyCanvas?.(true, true)
}

function clear(node) {
  const widget = node && widgetOf(node)
  if (!widget) return
  widget.onRemove?.()
  node.widgets = node.widgets.filter((one) => one !== widget)
  node.setSize([node.size[0], Math.max(widget.heightBefore, node.computeSize()[1])])
  node.setDirtyCanvas?.(true, true)
}

function onStart({ detail }) {
  if (toast) app.extensionManager?.toast?.remove?.(toast)
  toast = null
  const graph = rootGraph()?.id
  graphOfPrompt.set(detail.prompt_id, graph)
  for (const [key, message] of shown) {
    if (!key.startsWith(`${graph} `)) continue
    clear(nodeAt(message.node_id))
    shown.delete(key)
  }
}

function onError({ detail }) {
  if (!String(detail.node_type).startsWith(OWN_NODES)) return
  const graph = graphOfPrompt.get(detail.prompt_id) ?? rootGraph()?.id
  shown.set(keyOf(graph, detail.node_id), detail)
  if (graph === rootGraph()?.id) show(detail)
  const title = nodeAt(detail.node_id)?.title ?? detail.node_type
  toast = {
    severity: 'error',
    summary: title,
    detail: sentenceOf(detail.exception_message),
    life: TOAST_MILLISECONDS
  }
  app.extensionManager?.toast?.add(toast)
}

app.registerExtension({
  name: 'AnimaFastTrain.ErrorSentence',
  setup() {
    document.head.append(Object.assign(document.createElement('style'), { textContent: STYLE }))
    api.addEventListener('execution_start', onStart)
    api.addEventListener('execution_error', onError)
  },
  afterConfigureGraph() {
    const open = rootGraph()?.id
    for (const [key, message] of shown) if (key === keyOf(open, message.node_id)) show(message)
  }
})
