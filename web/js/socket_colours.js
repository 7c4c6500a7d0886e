// Colours the sockets and wires of this pack's own types, which are all gray otherwise. A colour that the chosen palette names for a type wins.
import { app } from '../../../scripts/app.js'

const COLOURS = {
  ANIMA_REFERENCE_CONTEXT: '#f2709c', // what was learned
  ANIMA_REFERENCES: '#5fc9c0', // pictures to learn from
  ANIMA_TRAINING_OPTIONS: '#c3a6ff',
  ANIMA_CONTEXT_SCHEDULE: '#9fd356',
  LOSS_MAP: '#e8b04b'
}

// The canvas keeps colours by type, and empties those of all known types whenever a palette is loaded.
function keepColours(colourOf) {
  if (!colourOf) return
  for (const [type, own] of Object.entries(COLOURS)) {
    let chosen = colourOf[type]
    Object.defineProperty(colourOf, type, {
      get: () => chosen || own,
      set: (colour) => { chosen = colour },
      enumerable: true,
      configurable: true
    })
  }
}

app.registerExtension({
  name: 'AnimaFastTrain.SocketColours',
  setup() {
    keepColours(app.canvas?.default_connection_color_byType)
    keepColours(window.LGraphCanvas?.link_type_colors)
    // Nodes drawn by Vue read the same from the style sheet; a palette sets it on the element itself, before which this stands back.
    const rules = Object.entries(COLOURS).map(([type, colour]) => `--color-datatype-${type}: ${colour};`)
    document.head.append(Object.assign(document.createElement('style'), { textContent: `:root { ${rules.join(' ')} }` }))
    app.canvas?.setDirty(true, true)
  }
})
