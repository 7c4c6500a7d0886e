// Builds {id, columns, links} in an empty graph as a user would: creates nodes, types into widgets, connects sockets, frames groups.
// A column is a list of groups from top to bottom; a group has its own columns of nodes.
async ({ id, columns, links }) => {
  const NODE_TITLE = 30, NODE_GAP = 18, GROUP_TITLE = 50, GROUP_MARGIN = 18, GROUP_GAP = 30
  const app = window.app
  const nodes = {}
  app.graph.id = id

  const create = async (spec) => {
    const node = LiteGraph.createNode(spec.type)
    if (!node) throw new Error(`no node type ${spec.type}`)
    app.graph.add(node)
    nodes[spec.key] = node
    if (spec.title) node.title = spec.title
    // By which ComfyUI-Manager finds what to install where a node is missing.
    if (node.comfyClass) node.properties.cnr_id = spec.type.startsWith('AnimaFastTrain') ? 'anima-fast-train' : 'comfy-core'
    if (spec.models.length) node.properties.models = spec.models
    for (const [name, value] of Object.entries(spec.widgets)) {
      const widget = node.widgets.find((candidate) => candidate.name === name)
      if (!widget) throw new Error(`${spec.type} has no widget ${name}: ${node.widgets.map((one) => one.name)}`)
      widget.value = value
      widget.callback?.(value, app.canvas, node)
    }
    if (spec.color) Object.assign(node, LGraphCanvas.node_colors[spec.color])
  }
  const all = columns.flat().flatMap((group) => group.columns.flat())
  for (const spec of all) await create(spec)

  for (const [from, output, to, input] of links) {
    const origin = nodes[from].outputs.findIndex((slot) => slot.name === output)
    const target = nodes[to].inputs.findIndex((slot) => slot.name === input)
    if (origin < 0) throw new Error(`${from} has no output ${output}: ${nodes[from].outputs.map((slot) => slot.name)}`)
    if (target < 0) throw new Error(`${to} has no input ${input}: ${nodes[to].inputs.map((slot) => slot.name)}`)
    nodes[from].connect(origin, nodes[to], target)
    await new Promise(requestAnimationFrame) // growing inputs add their next socket in the next frame
  }

  let x = 0
  for (const column of columns) {
    let y = 0, columnWidth = 0
    for (const group of column) {
      const frame = group.title ? GROUP_MARGIN : 0
      const top = y + (group.title ? GROUP_TITLE : 0)
      let inner = x + frame, bottom = top
      for (const stack of group.columns) {
        const stackWidth = Math.max(...stack.map((spec) => spec.size?.[0] ?? Math.max(nodes[spec.key].computeSize()[0], 300)))
        let below = top
        for (const spec of stack) {
          const node = nodes[spec.key]
          node.setSize([stackWidth, Math.max(spec.size?.[1] ?? 0, node.computeSize()[1])])
          node.pos = [inner, below + NODE_TITLE]
          below += NODE_TITLE + node.size[1] + spec.room + NODE_GAP
        }
        bottom = Math.max(bottom, below)
        inner += stackWidth + NODE_GAP
      }
      const right = inner - NODE_GAP + frame
      if (group.title) {
        const drawn = new LiteGraph.LGraphGroup(group.title)
        drawn.color = group.color
        drawn.pos = [x, y]
        drawn.size = [right - x, bottom - y]
        app.graph.add(drawn)
      }
      columnWidth = Math.max(columnWidth, right - x)
      y = bottom + GROUP_GAP
    }
    x += columnWidth + GROUP_GAP
  }
  app.graph.setDirtyCanvas(true, true)
}
