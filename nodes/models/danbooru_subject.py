"""How characters look, in the tags of Danbooru, which Anima and the anime models of SDXL and SD 1.5 were trained on and
models that read sentences understand too."""

from __future__ import annotations

from ...training.references.subject_tags import SubjectTags, TagGroup

SUBJECT_TAGS: SubjectTags = (
    TagGroup(
        (
            "black hair",
            "brown hair",
            "blonde hair",
            "white hair",
            "grey hair",
            "red hair",
            "orange hair",
            "pink hair",
            "purple hair",
            "blue hair",
            "aqua hair",
            "green hair",
        )
    ),
    TagGroup(
        (
            "short hair",
            "medium hair",
            "long hair",
            "very long hair",
            "twintails",
            "low twintails",
            "ponytail",
            "side ponytail",
            "single braid",
            "twin braids",
            "hair bun",
            "double bun",
            "drill hair",
            "spiky hair",
        )
    ),
    TagGroup(
        (
            "black eyes",
            "brown eyes",
            "red eyes",
            "orange eyes",
            "yellow eyes",
            "green eyes",
            "aqua eyes",
            "blue eyes",
            "purple eyes",
            "pink eyes",
        )
    ),
    TagGroup(
        (
            "dress",
            "serafuku",
            "blazer",
            "shirt",
            "t-shirt",
            "sweater",
            "hoodie",
            "jacket",
            "coat",
            "kimono",
            "armor",
            "maid",
            "military uniform",
            "suit",
            "bodysuit",
            "swimsuit",
            "robe",
        )
    ),
    TagGroup(
        (
            "hat",
            "beret",
            "witch hat",
            "crown",
            "hood",
            "hairband",
            "hair ribbon",
            "hair bow",
            "hair flower",
            "hairclip",
        ),
        optional=True,
    ),
    TagGroup(("glasses", "eyepatch", "mask", "scarf", "necktie", "choker"), optional=True),
    TagGroup(
        ("cat ears", "fox ears", "dog ears", "rabbit ears", "pointy ears", "horns", "halo", "wings"), optional=True
    ),
)
