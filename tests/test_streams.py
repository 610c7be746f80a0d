"""Stages that overlap, in order, in bounded memory, and stop when told."""

import gc
import threading
import time
from collections.abc import Iterator, Sequence
from itertools import count, islice, repeat
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hgzoo.errors import ConfigError, InputError
from hgzoo.predict import Predictor
from hgzoo.skeletons import Pose, nameless
from hgzoo.streams import Pipeline, Shot, predicted, stream
from tests.conftest import small_model


class Mean:
    """Stands in for a predictor: one keypoint a box, at the picture's mean; notes its batches."""

    def __init__(self) -> None:
        self.batches: list[int] = []

    def many(
        self,
        pictures: Sequence[np.ndarray],
        /,
        *,
        boxes: Sequence[Sequence[Any]] | None = None,
        heatmaps: bool = False,
    ) -> list[list[Pose]]:
        self.batches.append(len(pictures))
        lists = boxes or [[(0.0, 0.0, 1.0, 1.0)] for _ in pictures]
        return [
            [self.pose(p, box) for box in asked] for p, asked in zip(pictures, lists, strict=True)
        ]

    def pose(self, picture: np.ndarray, box: tuple[float, float, float, float]) -> Pose:
        return Pose(
            keypoints=np.full((1, 2), picture.mean()),
            scores=np.ones(1),
            names=("keypoint_0",),
            box=box,
            skeleton=nameless(1),
        )


def picture(value: int) -> np.ndarray:
    return np.full((4, 6, 3), value, np.uint8)


def stages() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("stage")]


@given(st.lists(st.integers(0, 255), max_size=30), st.integers(1, 9), st.integers(1, 5))
def test_pictures_come_out_in_order_with_their_own_poses(
    values: list[int], batch: int, people: int
) -> None:
    boxes = [[(float(i), 0.0, 9.0, 9.0) for i in range(people)] for _ in values]
    found = list(stream(Mean(), map(picture, values), boxes=boxes, batch=batch))
    assert [pixels[0, 0, 0] for pixels, _ in found] == values
    for value, (_, poses) in zip(values, found, strict=True):
        assert [pose.box[0] for pose in poses] == list(range(people))
        assert all(pose.keypoints[0, 0] == value for pose in poses)


def test_a_stream_gives_what_a_call_gives() -> None:
    predictor = Predictor(small_model())
    pictures = [np.random.default_rng(i).integers(0, 256, (30, 50, 3), np.uint8) for i in range(5)]
    boxes = [[(0.0, 0.0, 30.0, 30.0)], [], *([[(5.0, 5.0, 40.0, 20.0)] * 2] * 3)]
    expected = predictor(pictures, boxes=boxes, heatmaps=True)
    found = stream(predictor, pictures, boxes=boxes, batch=5, heatmaps=True)
    for poses, (_, streamed) in zip(expected, found, strict=True):
        assert len(poses) == len(streamed)
        for one, other in zip(poses, streamed, strict=True):
            np.testing.assert_array_equal(one.keypoints, other.keypoints)
            assert one.heatmaps is not None
            np.testing.assert_array_equal(one.heatmaps, other.heatmaps)


def test_the_next_picture_is_read_and_the_last_one_drawn_while_one_is_in_the_network() -> None:
    """Each of the three waits for the others to be at work: one after the other, none would end."""
    meeting = threading.Barrier(3, timeout=20)

    def read() -> Iterator[int]:
        for number in range(6):
            if number >= 2:
                meeting.wait()  # picture n+2 is being read ...
            yield number

    def network(numbers: Iterator[int]) -> Iterator[int]:
        for number in numbers:
            if 1 <= number <= 4:
                meeting.wait()  # ... while n+1 is in the network ...
            yield number

    drawn = []
    with Pipeline(ahead=1) as pipeline:
        for number in pipeline.stage(network(pipeline.stage(read()))):
            if number <= 3:
                meeting.wait()  # ... and n is being drawn
            drawn.append(number)
    assert drawn == list(range(6))


def test_no_more_pictures_are_read_than_are_held() -> None:
    read = 0

    def endless() -> Iterator[np.ndarray]:
        nonlocal read
        for _ in count():
            read += 1
            yield picture(0)

    pictures = stream(Mean(), endless(), batch=3)
    next(pictures)
    time.sleep(0.2)
    assert read <= 4 * 3 + 2
    pictures.close()  # type: ignore[attr-defined]
    assert stages() == []


def test_memory_stays_the_same_over_20_000_pictures() -> None:
    """Each picture is 12 KB; all of them would be 240 MB."""

    def pictures() -> Iterator[np.ndarray]:
        for number in range(20_000):
            yield np.full((64, 64, 3), number % 256, np.uint8)

    early = late = 0
    for number, _ in enumerate(stream(Mean(), pictures())):
        if number == 1000:
            gc.collect()
            early = resident()
        late = number
    assert late == 19_999
    assert resident() - early < 8 * 2**20


def resident() -> int:
    """Return the memory this process holds, bytes."""
    status = Path("/proc/self/statm")
    if not status.exists():
        pytest.skip("only Linux tells the memory of a process in /proc")
    return int(status.read_text(encoding="ascii").split()[1]) * 4096


def test_an_error_comes_after_what_was_before_it() -> None:
    def broken() -> Iterator[np.ndarray]:
        yield from map(picture, range(5))
        raise InputError("the sixth is broken")

    pictures = stream(Mean(), broken(), batch=1)
    assert [pixels[0, 0, 0] for pixels, _ in islice(pictures, 5)] == [0, 1, 2, 3, 4]
    with pytest.raises(InputError, match="sixth"):
        next(pictures)
    assert stages() == []


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_leaving_stops_every_thread_and_closes_every_generator(error: type[BaseException]) -> None:
    closed = []

    def stage(name: str, items: Iterator[int]) -> Iterator[int]:
        try:
            yield from items
        finally:
            closed.append(name)

    def leave() -> None:
        with Pipeline(ahead=2) as pipeline:
            items = pipeline.stage(stage("first", count()))
            for item in pipeline.stage(stage("second", items)):
                if item == 3:
                    raise error

    with pytest.raises(error):
        leave()
    assert sorted(closed) == ["first", "second"]
    assert stages() == []


def test_a_full_batch_or_its_end_goes_to_the_network() -> None:
    mean = Mean()
    shots = [Shot(i, None if i == 1 else picture(i), closes=i == 3) for i in range(9)]
    found = list(predicted(mean, shots, batch=4))
    assert [shot.key for shot, _ in found] == list(range(9))
    assert [len(poses) for _, poses in found] == [1, 0, *[1] * 7]
    assert mean.batches == [3, 4, 1]


def test_boxes_may_go_on_for_ever_but_not_end_too_early() -> None:
    box = [(0.0, 0.0, 5.0, 5.0)]
    found = stream(Mean(), map(picture, range(5)), boxes=repeat(box))
    assert [len(poses) for _, poses in found] == [1] * 5
    with pytest.raises(InputError, match="before picture 2"):
        list(stream(Mean(), map(picture, range(5)), boxes=[box, box]))


def test_a_live_picture_comes_out_before_the_next_is_there() -> None:
    given_out = threading.Event()

    def camera() -> Iterator[np.ndarray]:
        yield picture(1)
        assert given_out.wait(20)
        yield picture(2)

    for _ in islice(stream(Mean(), camera(), batch=1), 2):
        given_out.set()


def test_nothing_may_wait_is_refused() -> None:
    with pytest.raises(ConfigError, match="at least 1"):
        next(stream(Mean(), [], batch=0))
