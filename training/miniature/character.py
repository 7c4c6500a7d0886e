"""Draws anime-like characters, so that the miniature model has a world of its own to learn.

A `Character` is an identity (colours, hairstyle, clothes, accessory); a `Pose` is what may change from picture to
picture. Both are drawn on a transparent layer, so that the training mask of a reference is known exactly.
"""

from __future__ import annotations

from PIL import Image

from .accessory import draw_accessory
from .arms import Arms
from .body import draw_body
from .face import draw_face
from .hair import draw_back_hair, draw_front_hair, draw_side_hair
from .identity import (
    ACCESSORIES,
    CLOTHES,
    HAIRSTYLES,
    UNSEEN_ACCESSORIES,
    Character,
    draw_character,
    draw_unseen_character,
    identity_tags,
)
from .pen import Pen
from .pose import EXPRESSIONS, Pose, draw_pose

__all__ = [
    "ACCESSORIES",
    "CLOTHES",
    "EXPRESSIONS",
    "HAIRSTYLES",
    "UNSEEN_ACCESSORIES",
    "Character",
    "Pose",
    "draw_character",
    "draw_pose",
    "draw_unseen_character",
    "identity_tags",
    "paint",
]

_HEAD_TURN, _BODY_TURN = 29.0, 42.0  # degrees
_BODY_TILT = 1 / 3


def paint(who: Character, pose: Pose, side: int) -> Image.Image:
    """The character on a transparent RGBA square of `side` pixels."""
    flip = -1 if pose.mirrored else 1
    head_turn = flip * pose.facing * (_HEAD_TURN + 4 * pose.sway)
    # A turned body follows the head; below a head that looks at the viewer it turns to the side that is not named.
    body_turn = (flip * pose.facing or 1) * (_BODY_TURN + 5 * pose.swing) if pose.body == "three-quarter view" else 0.0
    head = Pen(
        Image.new("RGBA", (side, side)), (side * pose.x, side * pose.y), side / 128 * pose.scale, flip, pose.tilt
    )
    body = Pen(head.layer, head.centre, head.unit, flip, pose.tilt * _BODY_TILT)
    arms = Arms(body, who, pose.arms, body_turn, pose.swing)
    draw_back_hair(head, who, head_turn, pose.sway)
    arms.draw_behind()
    draw_body(body, who, body_turn, head_turn, pose.sway)
    arms.draw_in_front()
    draw_side_hair(head, who, head_turn)
    draw_face(head, who, pose.expression, head_turn)
    draw_front_hair(head, who, head_turn)
    draw_accessory(head, who, head_turn)
    return head.layer
