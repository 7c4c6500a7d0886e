// Zooms to all nodes and groups of the open graph, beside the side bar and below the tool bar; resolves once they are drawn.
async () => {
  const app = window.app
  const margin = 40
  const boxes = [
    ...app.graph.nodes.map((node) => [node.pos[0], node.pos[1] - 30, node.size[0], node.size[1] + 30]),
    ...app.graph.groups.map((group) => [...group.pos, ...group.size])
  ]
  const left = Math.min(...boxes.map((box) => box[0])) - margin
  const top = Math.min(...boxes.map((box) => box[1])) - margin
  const width = Math.max(...boxes.map((box) => box[0] + box[2])) + margin - left
  const height = Math.max(...boxes.map((box) => box[1] + box[3])) + margin - top
  const view = app.canvas.canvas.getBoundingClientRect()
  const bars = app.extensionManager.focusMode ? { left: 0, top: 0 } : { left: 60, top: 80 }
  const free = { width: view.width - bars.left, height: view.height - bars.top }
  const scale = Math.min(free.width / width, free.height / height)
  app.canvas.deselectAll?.()
  app.canvas.ds.scale = scale
  app.canvas.ds.offset[0] = -left + (bars.left + (free.width - width * scale) / 2) / scale
  app.canvas.ds.offset[1] = -top + (bars.top + (free.height - height * scale) / 2) / scale
  app.canvas.setDirty(true, true)
  for (let frames = 0; frames < 5; frames++) await new Promise(requestAnimationFrame)
  return { width, height }
}
