// Drops a file {name, base64} on the node of a type, as from a file manager: over the canvas, or over the element by which Vue draws it.
async ({ type, name, base64 }) => {
  const app = window.app
  const node = app.graph.nodes.find((candidate) => candidate.type === type)
  const canvas = document.querySelector('#graph-canvas')
  const box = canvas.getBoundingClientRect()
  const element = document.querySelector(`[data-node-id="${node.id}"]`)
  const { scale, offset } = app.canvas.ds
  const at = element?.getBoundingClientRect()
  const where = at
    ? { clientX: at.x + at.width / 2, clientY: at.y + 40 }
    : { clientX: box.x + (node.pos[0] + node.size[0] / 2 + offset[0]) * scale, clientY: box.y + (node.pos[1] + 12 + offset[1]) * scale }
  const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0))
  const dataTransfer = new DataTransfer()
  dataTransfer.items.add(new File([bytes], name))
  const target = element ?? canvas
  for (const kind of ['dragenter', 'dragover', 'drop']) {
    target.dispatchEvent(new DragEvent(kind, { ...where, bubbles: true, cancelable: true, dataTransfer }))
    await new Promise(requestAnimationFrame)
  }
}
