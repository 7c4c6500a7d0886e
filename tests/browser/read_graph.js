// The open graph as plain data.
async () => {
  const app = window.app
  // Some frontends call this widget what it starts with: a seed that starts as fixed has a widget "fixed".
  const name = (widget) => (widget.label === 'control after generate' ? 'control_after_generate' : widget.name)
  const nodes = app.graph.nodes.map((node) => ({
    id: Number(node.id), // newer frontends keep ids as text
    type: node.type,
    known: node.type in LiteGraph.registered_node_types,
    has_errors: Boolean(node.has_errors),
    widgets: Object.fromEntries((node.widgets ?? []).map((widget) => [name(widget), widget.value])),
    // Widgets that are elements of the page, such as text fields, and what they show.
    shown: Object.fromEntries(
      (node.widgets ?? [])
        .filter((widget) => widget.element)
        .map((widget) => [widget.name, (widget.inputEl ?? widget.element).value ?? widget.element.innerText])
    )
  }))
  const links = [...app.graph.links.values()].map((link) => ({
    id: Number(link.id),
    type: link.type,
    origin_has_it: Boolean(app.graph.getNodeById(link.origin_id)?.outputs[link.origin_slot]?.links?.includes(link.id)),
    target_has_it: app.graph.getNodeById(link.target_id)?.inputs[link.target_slot]?.link === link.id,
    types_fit: LiteGraph.isValidConnection(
      app.graph.getNodeById(link.origin_id)?.outputs[link.origin_slot]?.type,
      app.graph.getNodeById(link.target_id)?.inputs[link.target_slot]?.type
    )
  }))
  const dialogs = [...document.querySelectorAll('[role=dialog]')].filter((dialog) => dialog.checkVisibility()).map((dialog) => dialog.innerText)
  const { output } = await app.graphToPrompt()
  return { nodes, links, dialogs, prompt: JSON.stringify(output) }
}
