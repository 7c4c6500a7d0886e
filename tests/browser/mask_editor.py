"""ComfyUI's mask editor, painted in with the mouse as an artist paints."""

from __future__ import annotations

from frontend_page import FrontendPage

LOAD_IMAGE = "window.app.graph.nodes.find((node) => node.type === 'LoadImage')"
Stroke = list[tuple[float, float]]  # points in pixels of the picture


def paint_mask(frontend: FrontendPage, width: int, strokes: list[Stroke], brush: int = 0) -> str:
    """Open the picture of the only Load Image, `width` pixels wide, and paint over it; the file that it showed before,
    for save_mask.

    brush: pixels from its middle to its edge; 0 keeps the one that is chosen.
    """
    page = frontend.page
    before = page.evaluate(f"() => {LOAD_IMAGE}.widgets[0].value")
    page.evaluate(
        f"""() => {{
            window.app.canvas.selectNode({LOAD_IMAGE})
            window.app.extensionManager.command.execute('Comfy.MaskEditor.OpenMaskEditor')
        }}"""
    )
    page.get_by_text("Brush Settings").wait_for()
    if brush:
        page.get_by_role("spinbutton").first.fill(str(brush))
        page.get_by_role("spinbutton").first.press("Tab")
    box = page.locator("canvas:visible").last.bounding_box()
    assert box is not None
    scale = box["width"] / width
    for stroke in strokes:
        points = [(box["x"] + x * scale, box["y"] + y * scale) for x, y in stroke]
        page.mouse.move(*points[0])
        page.mouse.down()
        for point in points[1:]:
            page.mouse.move(*point, steps=25)
        page.mouse.up()
    return before


def save_mask(frontend: FrontendPage, before: str) -> str:
    """Press Save; the name of the file that Load Image shows then."""
    page = frontend.page
    page.get_by_role("button", name="Save").first.click()
    page.wait_for_function(f"(before) => {LOAD_IMAGE}.widgets[0].value !== before", arg=before)
    frontend.wait_for_pictures()
    return page.evaluate(f"() => {LOAD_IMAGE}.widgets[0].value").removesuffix(" [input]")
