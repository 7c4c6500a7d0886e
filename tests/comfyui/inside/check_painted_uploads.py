"""Which painted pictures a queued workflow brings to this pack, whatever a workflow from anyone looks like."""

from __future__ import annotations

from pathlib import Path

import folder_paths

from anima_fast_train.nodes.folders.painted_uploads import _input_file, _uploaded, painted_names, repair_queued

NAME = "clipspace-painted-masked-7.png"
OWN = "AnimaFastTrainAddReference"


def node(kind: str, **inputs: object) -> dict:
    return {"class_type": kind, "inputs": inputs}


def check_pictures_are_found_through_other_nodes_and_no_others() -> None:
    prompt = {
        "1": node("LoadImage", image=f"clipspace/{NAME} [input]"),
        "2": node("ImageScale", image=["1", 0], width=64),
        "3": node(OWN, image=["2", 0], mask=["1", 1]),
        "4": node("LoadImage", image="clipspace-painted-masked-8.png"),
        "5": node("PreviewImage", images=["4", 0]),
        "6": node("LoadImage", image="example.png"),
        "7": node(OWN, image=["6", 0], references=["3", 0]),
    }
    assert painted_names(prompt) == [f"clipspace/{NAME} [input]"]


def check_what_is_no_workflow_has_none() -> None:
    loop = {"1": node(OWN, image=["2", 0]), "2": node("LoadImage", image=NAME, other=["1", 0])}
    assert painted_names(loop) == [NAME]
    odd = {"1": "text", "2": {"class_type": OWN, "inputs": []}, "3": {"class_type": OWN, "inputs": {"a": [[], {}]}}}
    for prompt in (None, [], "text", {}, {"1": None}, odd, {"1": {"class_type": None}}, {"1": node(OWN, a=["9", 0])}):
        assert painted_names(prompt) == []
        assert repair_queued({"prompt": prompt}) == {"prompt": prompt}
    assert repair_queued({}) == {}


def check_only_the_input_folder_is_written_to() -> None:
    inside = Path(folder_paths.get_input_directory()).absolute()
    assert _input_file(NAME, None) == inside / NAME
    assert _input_file(f"clipspace/{NAME}", folder_paths.get_input_directory()) == inside / "clipspace" / NAME
    for name in (f"../{NAME}", f"/etc/{NAME}", f"clipspace/../../{NAME}", "example.png", ""):
        assert _input_file(name, None) is None
    assert _input_file(NAME, folder_paths.get_output_directory()) is None


def check_only_an_answer_that_names_a_painted_picture_counts() -> None:
    inside = Path(folder_paths.get_input_directory()).absolute()
    assert _uploaded(f'{{"name": "{NAME}", "subfolder": "", "type": "input"}}') == inside / NAME
    for answer in (None, "", "no json", "[]", "{}", f'{{"name": "{NAME}", "type": "temp"}}', '{"type": "input"}'):
        assert _uploaded(answer) is None
    assert _uploaded(f'{{"name": "{NAME}", "subfolder": "../..", "type": "input"}}') is None
