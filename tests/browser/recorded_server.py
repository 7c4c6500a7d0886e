"""Stands in for ComfyUI where there is none: serves its frontend, and answers with the recorded /object_info."""

from __future__ import annotations

import base64
import copy
import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from frontend_page import SETTINGS
from saved_workflow import EXAMPLES, SavedWorkflow, inputs_of, recorded_object_info

EXAMPLE_PICTURE = Path(__file__).parents[2] / "training" / "command_line" / "demo" / "reference.png"
WEBSOCKET_KEY = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455, section 1.3

EMPTY_ANSWERS: dict[str, Any] = {
    "/api/settings": SETTINGS,
    "/api/users": {"storage": "server", "migrated": True},
    "/api/features": {},
    "/api/system_stats": {"system": {"os": "linux", "comfyui_version": "0.29.0", "argv": []}, "devices": []},
    "/api/userdata": [],
    "/api/extensions": [],
    "/api/i18n": {},
    "/api/global_subgraphs": {},
    "/api/node_replacements": {},
    "/api/workflow_templates": {},
    "/api/experiment/models": [],
    "/api/queue": {"queue_running": [], "queue_pending": []},
    "/api/history": {},
    "/api/jobs": {"jobs": [], "pagination": {"offset": 0, "limit": 200, "total": 0, "has_more": False}},
    "/templates/index.json": [],
}


def object_info_with_files() -> dict[str, dict]:
    """The record, which names no files, for somebody who has all files that the examples name."""
    object_info = copy.deepcopy(recorded_object_info())
    for path in EXAMPLES:
        workflow = SavedWorkflow(path, object_info)
        for node in workflow.executed_nodes.values():
            values = workflow.widgets(node)
            for each in inputs_of(workflow.definition(node)):
                if each.kind == "COMBO" and values[each.name] not in each.options["options"]:
                    each.options["options"].append(values[each.name])
    return object_info


def object_info_of_fresh_installation() -> dict[str, dict]:
    """The record with the one file that ComfyUI brings: its example picture."""
    object_info = copy.deepcopy(recorded_object_info())
    (pictures,) = (each.options["options"] for each in inputs_of(object_info["LoadImage"]) if each.name == "image")
    pictures.append("example.png")
    return object_info


@contextmanager
def recorded_server(frontend: Path, object_info: dict[str, dict]) -> Iterator[str]:
    """The address of a server for the static files in `frontend`."""
    answers = {**EMPTY_ANSWERS, "/api/object_info": object_info}

    class Handler(SimpleHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments, directory=str(frontend))

        def do_GET(self) -> None:
            path = urlsplit(self.path).path
            if path == "/ws":
                self._greet_on_websocket()
            elif path in answers:
                self._answer(json.dumps(answers[path]).encode(), "application/json")
            elif path == "/api/view":
                self._answer(EXAMPLE_PICTURE.read_bytes(), "image/png")
            else:
                super().do_GET()

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self._answer(b"{}", "application/json")

        def _answer(self, content: bytes, kind: str) -> None:
            self.send_response(HTTPStatus.OK)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def _greet_on_websocket(self) -> None:
            """Accept the connection, send the first message of ComfyUI, and hold the line until the page hangs up."""
            key = base64.b64encode(hashlib.sha1(self.headers["Sec-WebSocket-Key"].encode() + WEBSOCKET_KEY).digest())
            self.send_response(HTTPStatus.SWITCHING_PROTOCOLS)
            self.send_header("Upgrade", "websocket")
            self.send_header("Connection", "Upgrade")
            self.send_header("Sec-WebSocket-Accept", key.decode())
            self.end_headers()
            message = json.dumps(
                {"type": "status", "data": {"status": {"exec_info": {"queue_remaining": 0}}, "sid": "test"}}
            ).encode()
            self.wfile.write(bytes([0x81, len(message)]) + message)  # one unmasked text frame, shorter than 126 bytes
            while self.rfile.read(1):
                pass
            self.close_connection = True

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
