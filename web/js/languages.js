// Shows what the frontend leaves English in another language: the choices of lists, switches, and sockets that grow. Values and saved workflows stay as
// they are.
import { app } from '../../../scripts/app.js'
import { word, wordsOfNode } from './words.js'

const OWN_NODES = 'AnimaFastTrain'
const AFTER_GENERATE = 'fixed,increment,decrement,randomize'

function showChoices(node) {
  const inputs = wordsOfNode(node.comfyClass).inputs ?? {}
  for (const widget of node.widgets ?? []) {
    const afterGenerate = Array.isArray(widget.options?.values) && widget.options.values.join() === AFTER_GENERATE // whose name differs between frontends
    const choices = inputs[afterGenerate ? 'control_after_generate' : widget.name]?.options
    if (choices) widget.options.getOptionLabel = (value) => choices[value] ?? String(value ?? '')
    if (widget.inputEl?.placeholder === widget.name) widget.inputEl.placeholder = widget.label ?? widget.name
    if (typeof widget.value === 'boolean' && word('on') !== 'on') Object.assign(widget.options, { on: word('on'), off: word('off') })
  }
}

// 'contexts.context_2' is the second of the group contexts. Nothing where it is none of a group, or the artist gave it a name.
function grown(node, { name, label }) {
  const [group, english, number] = name.match(/^(.+)\.(\w*?(\d+))$/)?.slice(1) ?? []
  const local = group && wordsOfNode(node.comfyClass).inputs?.[group]?.name
  if (!local) return
  const words = `${local} ${number}`
  return label === undefined || label === english || label === words ? { english, words } : undefined
}

function showSocket(node, socket) {
  const names = grown(node, socket)
  if (names) socket.label = names.words
}

// The name of a socket is saved with a workflow, which may be opened in another language.
function savesEnglish(node) {
  const before = node.onSerialize
  node.onSerialize = function (saved) {
    before?.apply(this, arguments)
    for (const socket of saved.inputs ?? []) {
      const names = grown(this, socket)
      if (names && socket.label === names.words) socket.label = names.english
    }
  }
}

app.registerExtension({
  name: 'AnimaFastTrain.Languages',
  nodeCreated(node) {
    if (!node.comfyClass?.startsWith(OWN_NODES)) return
    showChoices(node)
    for (const socket of node.inputs ?? []) showSocket(node, socket)
    const before = node.onInputAdded
    node.onInputAdded = function (socket) {
      showSocket(this, socket)
      return before?.apply(this, arguments)
    }
    savesEnglish(node)
  },
  loadedGraphNode(node) {
    if (node.comfyClass?.startsWith(OWN_NODES)) for (const socket of node.inputs ?? []) showSocket(node, socket)
  }
})
