// Drops {name, text} as a file on the middle of the canvas.
({ name, text }) => {
  const canvas = document.querySelector('#graph-canvas')
  const box = canvas.getBoundingClientRect()
  const dataTransfer = new DataTransfer()
  dataTransfer.items.add(new File([text], name, { type: 'application/json' }))
  const where = { clientX: box.x + box.width / 2, clientY: box.y + box.height / 2, bubbles: true, cancelable: true, dataTransfer }
  for (const kind of ['dragenter', 'dragover', 'drop']) canvas.dispatchEvent(new DragEvent(kind, where))
}
