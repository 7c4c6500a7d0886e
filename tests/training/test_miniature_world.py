"""The drawn world: what a caption names is what is drawn, masks are exact, and any pose can be asked for."""

from __future__ import annotations

import itertools
import random
from collections import Counter
from dataclasses import replace

import numpy
import pytest
from PIL import Image

from anima_fast_train.training.miniature import background, character, pose, scene
from anima_fast_train.training.miniature.pose import Pose
from anima_fast_train.training.miniature.scene import Scene

STANDING = Pose(x=0.5, y=0.4, scale=0.7, tilt=0, mirrored=False, expression="smile", framing="full body")
SOMEBODY = replace(character.draw_unseen_character(random.Random(1)), hairstyle="short", accessory="none")
PLAIN = background.draw_backdrop(random.Random(2), "plain")


def shape(**changes: object) -> numpy.ndarray:
    """The mask [128,128] in 0..1 of one character in a changed pose."""
    drawn = scene.with_pose(SOMEBODY, replace(STANDING, **changes), PLAIN)  # type: ignore[arg-type]
    return numpy.asarray(drawn.mask) / 255


def grey(image: Image.Image) -> numpy.ndarray:
    return numpy.asarray(image).astype(float)


@pytest.mark.parametrize(("first", "second"), [*itertools.combinations(pose.ARMS, 2)])
def test_every_pose_of_the_arms_has_an_outline_of_its_own(first: str, second: str) -> None:
    one, other = (scene.with_pose(SOMEBODY, replace(STANDING, arms=arms), PLAIN) for arms in (first, second))
    assert (abs(grey(one.picture) - grey(other.picture)).max(-1) > 40).sum() > 60


def test_raised_arms_reach_above_the_head_and_hands_on_hips_stand_out() -> None:
    top = {
        arms: numpy.flatnonzero(shape(arms=arms)[:, 64 - 21 : 64 - 14].max(1) > 0.5)[0]
        for arms in ("arms up", "arms at sides")
    }
    assert top["arms up"] < top["arms at sides"] - 10
    width = {
        arms: (shape(arms=arms)[64 + 18 : 64 + 34] > 0.5).any(0).sum() for arms in ("hands on hips", "arms at sides")
    }
    assert width["hands on hips"] > width["arms at sides"] + 10


def test_left_and_right_are_the_pictures_whether_mirrored_or_not() -> None:
    def eyes(head: str, mirrored: bool) -> float:
        """Mean column of the pixels in the colour of the eyes."""
        seen = replace(STANDING, scale=1.6, y=0.5, framing="portrait", head=head, mirrored=mirrored)
        drawn = scene.with_pose(replace(SOMEBODY, eyes=(255, 0, 255), accent=(0, 0, 0)), seen, PLAIN)
        colours = grey(drawn.picture)
        return float(numpy.flatnonzero((abs(colours - [255, 0, 255]).max(-1) < 40).any(0)).mean())

    for mirrored in (False, True):
        left, ahead, right = (
            eyes(head, mirrored) for head in ("looking to the left", "looking at viewer", "looking to the right")
        )
        assert left < ahead - 5
        assert right > ahead + 5


def test_framings_show_as_much_of_a_body_as_they_say() -> None:
    rng = random.Random(3)
    for framing, count in itertools.product(pose.FRAMINGS, range(20)):
        drawn = pose.draw_pose(rng, framing)
        shown = 128 * (1 - drawn.y) / drawn.scale  # units below the centre of the head
        assert drawn.framing == framing
        assert (shown < 40, 40 < shown < 72, shown > 119)[pose.FRAMINGS.index(framing)], count
        assert ("arms up" in drawn.tags or drawn.arms in drawn.tags) == (framing != "portrait")


def test_captions_name_the_pose_in_the_vocabulary() -> None:
    words = set(scene.vocabulary())
    for changes in itertools.product(pose.ARMS, pose.HEADS, pose.BODIES, pose.FRAMINGS, pose.EXPRESSIONS):
        arms, head, body, framing, expression = changes
        tags = replace(STANDING, arms=arms, head=head, body=body, framing=framing, expression=expression).tags
        assert set(tags) <= words
        assert set(tags) == set(changes) - ({arms} if framing == "portrait" else set())


def test_the_pretraining_set_is_mostly_of_one_person_and_says_how_many() -> None:
    counts: Counter[int] = Counter()
    for seed in range(300):
        people, backdrop = scene.plan_scene(seed)
        tags = scene.other_tags(people, backdrop)
        assert tags[0] == scene.COUNTS[len(people)]
        assert not set(tags) & set(scene.COUNTS) - {tags[0]}
        assert set(backdrop.tags) <= set(tags)
        counts[len(people)] += 1
    assert 0.68 < counts[1] / 300 < 0.82
    assert min(counts[0], counts[2]) > 20


def two_girls() -> Scene:
    return next(drawn for drawn in map(scene.draw_scene, range(100)) if len(drawn.people) == 2)


def test_two_people_stand_side_by_side_each_with_a_mask_and_their_words() -> None:
    drawn = two_girls()
    masks = [grey(mask) / 255 for mask in drawn.masks]
    assert (masks[0] + masks[1] <= 1 + 2 / 255).all()
    numpy.testing.assert_allclose(masks[0] + masks[1], grey(drawn.mask) / 255, atol=2 / 255)
    for person, mask in zip(drawn.people, masks, strict=True):
        middle = (mask.sum(0) * numpy.arange(128)).sum() / mask.sum()
        assert (middle < 64) == (person.pose.x < 0.5)
        assert set(person.who.identity_tags) <= set(drawn.identity_tags)
        assert set(person.pose.tags) <= set(drawn.other_tags)


def test_the_mask_is_all_that_a_character_changes() -> None:
    for seed in range(40):
        drawn = scene.draw_scene(seed)
        empty = scene.render((), drawn.backdrop)
        assert drawn.people or drawn.mask.getextrema() == (0, 0)
        outside = numpy.asarray(drawn.mask) == 0
        numpy.testing.assert_array_equal(numpy.asarray(drawn.picture)[outside], numpy.asarray(empty.picture)[outside])


def test_a_character_can_be_rendered_in_any_pose_before_any_background() -> None:
    backdrop = background.draw_backdrop(random.Random(4), "brick")
    wanted = replace(STANDING, arms="crossed arms", head="looking to the left", body="three-quarter view")
    drawn = scene.with_pose(SOMEBODY, wanted, backdrop)
    expected = ["1girl", "full body", "three-quarter view", "looking to the left", "crossed arms", "smile"]
    assert drawn.other_tags == (
        *expected,
        f"{backdrop.ground.word} background",
        "brick background",
        f"{backdrop.ink.word} brick",
    )
    assert drawn.people == (scene.Person(SOMEBODY, wanted),)
    assert drawn.picture.tobytes() == scene.with_pose(SOMEBODY, wanted, backdrop).picture.tobytes()


def test_elsewhere_is_never_the_references_own_picture() -> None:
    for seed in range(12):
        here = scene.draw_reference(seed)
        (shown,) = here.people
        assert shown.pose.framing in ("upper body", "full body")
        assert scene.stands_out(shown.who, here.backdrop)
        for number in range(4):
            there = scene.draw_elsewhere(seed, number)
            (other,) = there.people
            assert other.who == shown.who == scene.reference_character(seed)
            assert other.pose.arms != shown.pose.arms
            assert there.backdrop.ground != here.backdrop.ground
            assert number % 2 == 0 or there.backdrop.pattern == "plain"
