"""Presses Run in the frontend and follows what the training node says, as an artist does."""

from __future__ import annotations

from frontend_page import FrontendPage

TRAINING = "window.app.graph.nodes.find((node) => node.type === 'AnimaFastTrainMaskedReferenceContext')"


def run(artist: FrontendPage) -> None:
    """Press Run. `window.ended` will hold the name of the event that ends it, `window.why` its message, and
    `window.ran` the types of the nodes that did not come from cache."""
    artist.page.evaluate(
        """() => {
            window.ended = null
            window.why = ''
            window.ran = []
            const { api } = window.app
            if (window.noting) api.removeEventListener('executing', window.noting)
            window.noting = ({ detail }) => window.ran.push(window.app.graph.getNodeById(detail)?.type)
            api.addEventListener('executing', window.noting)
            for (const name of ['execution_success', 'execution_error', 'execution_interrupted']) {
                api.addEventListener(name, ({ detail }) => {
                    window.why = detail?.exception_message ?? ''
                    window.ended = name
                }, { once: true })
            }
            return window.app.queuePrompt(0)
        }"""
    )


def wait_for_end(artist: FrontendPage) -> str:
    artist.page.wait_for_function("() => window.ended")
    return artist.page.evaluate("() => window.ended")


def phase(artist: FrontendPage) -> str:
    return artist.page.locator(".anima-loss .phase").inner_text()


def wait_for_step(artist: FrontendPage, step: int) -> None:
    said = "document.querySelector('.anima-loss .phase')?.textContent"
    artist.page.wait_for_function(f"(step) => Number(/^step (\\d+) of/.exec({said})?.[1]) >= step", arg=step)
