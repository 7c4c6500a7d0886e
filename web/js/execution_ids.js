// Finds the node that a message of the server speaks of.
import { app } from '../../../scripts/app.js'

export const rootGraph = () => app.rootGraph ?? app.graph

// The node of an execution id: '12', or '12:5' for node 5 of the subgraph in node 12.
export function nodeAt(id) {
  const path = String(id).split(':')
  let graph = rootGraph()
  for (const outer of path.slice(0, -1)) graph = graph?.getNodeById(outer)?.subgraph
  return graph?.getNodeById(path.at(-1))
}
