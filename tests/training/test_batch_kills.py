"""A small run of what judge_batches.py does at large: batches killed at random moments, and a cluster that loses a node
and then its driver."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from judge_batches import judge_cluster, judge_kills


def test_batches_killed_at_random_moments_end_with_the_same_bits(tmp_path: Path) -> None:
    judged = judge_kills(2, 0, tmp_path)
    assert judged["killed"]


def test_a_cluster_that_loses_a_node_and_its_driver_trains_each_row_once(tmp_path: Path) -> None:
    pytest.importorskip("ray", reason="no package ray: pip install 'anima-fast-train[cluster]'")
    judged = judge_cluster(6, tmp_path)
    assert judged["trained to the end once"] == 6
