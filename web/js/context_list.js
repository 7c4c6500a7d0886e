// Load Context shows its files as pictures, takes a file that is dropped on it, and lists what was saved or trained since the page was opened.
import { app } from '../../../scripts/app.js'
import { api } from '../../../scripts/api.js'
import { nodeAt, rootGraph } from './execution_ids.js'
import { word } from './words.js'

const TYPE = 'AnimaFastTrainLoadContext'
const SAVE_TYPE = 'AnimaFastTrainSaveContext'
const TRAINED = 'anima_fast_train.done'
const CONTEXTS = '/anima_fast_train/contexts'
const THUMBNAIL = '/anima_fast_train/thumbnail'
const COMBO = 'context_name'
const WIDGET = 'anima_context_pictures'
const SAVED = 'anima_saved_as'
// Of those behind the second, which a card may have become on its way, the server says that the context is gone.
const TAKEN = ['.safetensors', '.png', '.jpg', '.jpeg', '.webp', '.gif']
const HEIGHT = 190
const SAVED_HEIGHT = 44
const STYLE = `
  .anima-contexts { box-sizing: border-box; width: 100%; height: 100%; min-height: 120px; max-height: ${HEIGHT}px; padding: 6px; border-radius: 6px; background: #1b1e24; color: #e4e7ec;
    font: 11px/15px sans-serif; display: flex; flex-direction: column; gap: 5px; overflow: hidden; }
  .anima-contexts .grid { flex: 1 1 0; min-height: 0; overflow-y: auto; display: grid; grid-template-columns: repeat(auto-fill, 64px); gap: 4px; align-content: start; }
  .anima-contexts button { width: 64px; height: 64px; padding: 2px; border: 2px solid transparent; border-radius: 5px; background: #2a2f38; color: #c4cad4; cursor: pointer; overflow: hidden;
    font: 10px/12px sans-serif; overflow-wrap: anywhere; }
  .anima-contexts button.chosen { border-color: #7db4ea; }
  .anima-contexts img { width: 100%; height: 100%; object-fit: contain; display: block; pointer-events: none; }
  .anima-contexts .words, .anima-saved { overflow: hidden; text-overflow: ellipsis; white-space: nowrap; user-select: text; }
  .anima-saved { box-sizing: border-box; width: 100%; padding: 6px 8px; border-radius: 6px; background: #17261b; color: #c9ecd0; font: 12px/16px sans-serif; white-space: normal; overflow-wrap: anywhere;
    max-height: ${SAVED_HEIGHT}px; overflow-y: auto; }`

let contexts = { names: [], newest: [] }
let asked = 0 // so that an answer that was overtaken is left out

function everyNode(graph, found = []) {
  for (const node of graph?.nodes ?? []) {
    found.push(node)
    if (node.subgraph) everyNode(node.subgraph, found)
  }
  return found
}

const loadNodes = () => everyNode(rootGraph()).filter((node) => node.comfyClass === TYPE)
const comboOf = (node) => node.widgets?.find((widget) => widget.name === COMBO)
const own = (node, name) => node.widgets?.find((widget) => widget.name === name)

function addElement(node, name, className, height) {
  const element = document.createElement('div')
  element.className = className
  const widget = node.addDOMWidget(name, name, element, {
    serialize: false, // not sent with the prompt
    hideOnZoom: false,
    getMinHeight: () => height,
    getMaxHeight: () => height
  })
  widget.serialize = false // not saved either: widget values are saved by place
  node.setSize([node.size[0], Math.max(node.size[1], node.computeSize()[1])])
  return widget
}

function choose(node, name) {
  const combo = comboOf(node)
  if (!combo) return
  combo.value = name
  combo.callback?.(name, app.canvas, node)
  draw(node)
  node.setDirtyCanvas?.(true, true)
}

function draw(node) {
  const widget = own(node, WIDGET)
  if (!widget) return
  const chosen = comboOf(node)?.value
  const grid = document.createElement('div')
  grid.className = 'grid'
  for (const { name, stamp, thumbnail, words } of contexts.newest) {
    const button = document.createElement('button')
    button.type = 'button'
    button.title = `${name}\n${words}`
    button.dataset.name = name
    button.classList.toggle('chosen', name === chosen)
    if (thumbnail) {
      const picture = document.createElement('img')
      picture.loading = 'lazy'
      picture.alt = name
      picture.src = api.apiURL(`${THUMBNAIL}?${new URLSearchParams({ name, stamp })}`)
      button.append(picture)
    } else button.textContent = name.replace(/\.(safetensors|png)$/i, '').slice(0, 40)
    button.addEventListener('click', () => choose(node, name))
    for (const kind of ['pointerdown', 'mousedown', 'dblclick']) button.addEventListener(kind, (event) => event.stopPropagation())
    grid.append(button)
  }
  const words = document.createElement('div')
  words.className = 'words'
  const described = contexts.newest.find(({ name }) => name === chosen)
  words.textContent = contexts.newest.length
    ? described?.words ?? word('Choose a context by its picture, or drop a .safetensors file or a card here')
    : word('No context yet: train one, or drop a .safetensors file or a card here')
  words.title = words.textContent
  widget.element.replaceChildren(grid, words)
}

// The names go where ComfyUI looks for them: the lists of the nodes there are, and the definition that new nodes are made from.
function list(names) {
  const definitions = [LiteGraph.registered_node_types?.[TYPE]?.nodeData, app.extensionManager?.nodeDef?.nodeDefsByName?.[TYPE]]
  for (const definition of definitions) {
    const options = definition?.input?.required?.[COMBO]?.[1]
    if (options) options.options = names
    const newer = definition?.inputs?.[COMBO]
    if (newer) newer.options = names
  }
  for (const node of loadNodes()) {
    const combo = comboOf(node)
    if (!combo) continue
    combo.options.values = names
    if (!combo.value && names.length) choose(node, contexts.newest[0]?.name ?? names[0])
    if (names.includes(combo.value)) node.has_errors = false
    draw(node)
  }
}

async function refresh() {
  const turn = ++asked
  const answer = await api.fetchApi(CONTEXTS).catch(() => undefined)
  if (!answer?.ok) return
  const told = await answer.json()
  if (turn !== asked || !Array.isArray(told?.names)) return
  contexts = told
  list(told.names)
}

const tell = (severity, summary, detail) => app.extensionManager?.toast?.add({ severity, summary, detail, life: 8000 })
const contextFiles = (event) => [...(event.dataTransfer?.files ?? [])].filter((file) => TAKEN.some((suffix) => file.name.toLowerCase().endsWith(suffix)))

async function upload(node, file) {
  const query = new URLSearchParams({ name: file.name })
  const answer = await api
    .fetchApi(`${CONTEXTS}?${query}`, { method: 'POST', headers: { 'Content-Type': 'application/octet-stream' }, body: file })
    .catch((error) => ({ ok: false, json: async () => ({ error: String(error) }) }))
  const said = await answer.json().catch(() => ({}))
  if (!answer.ok) return tell('error', node.title, said.error ?? word('The server did not take the file'))
  await refresh()
  choose(node, said.name)
}

function takesFiles(node) {
  node.onDragOver = (event) => [...(event.dataTransfer?.items ?? [])].some((item) => item.kind === 'file')
  node.onDragDrop = async (event) => {
    const files = contextFiles(event)
    if (!files.length) tell('warn', node.title, word('This is no .safetensors file of a context and no card, which is a PNG'))
    for (const file of files) await upload(node, file)
    return true // even what is refused is not opened as a workflow
  }
}

function showSaved({ detail }) {
  const node = nodeAt(detail.display_node ?? detail.node)
  if (node?.comfyClass !== SAVE_TYPE) return
  const name = detail.output?.text?.[0]
  if (!name) return
  const widget = own(node, SAVED) ?? addElement(node, SAVED, 'anima-saved', SAVED_HEIGHT)
  widget.element.textContent = `${word('Saved as')} models/anima_contexts/${name}`
  node.setDirtyCanvas?.(true, true)
  refresh()
}

app.registerExtension({
  name: 'AnimaFastTrain.ContextList',
  setup() {
    document.head.append(Object.assign(document.createElement('style'), { textContent: STYLE }))
    api.addEventListener('executed', showSaved)
    api.addEventListener(TRAINED, refresh)
    api.addEventListener('reconnected', refresh)
    refresh()
  },
  nodeCreated(node) {
    if (node.comfyClass !== TYPE) return
    addElement(node, WIDGET, 'anima-contexts', HEIGHT)
    takesFiles(node)
    const combo = comboOf(node)
    const callback = combo?.callback
    if (combo) combo.value ??= '' // of an empty list, so that the server is asked and answers in words
    if (combo)
      combo.callback = function (...args) {
        const answer = callback?.apply(this, args)
        draw(node)
        return answer
      }
    if (contexts.names.length) list(contexts.names)
    draw(node)
  },
  loadedGraphNode(node) {
    if (node.comfyClass === TYPE) refresh()
  }
})
