"""Work that overlaps: while a picture is in the network, the next is read, the last is drawn."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Condition, Thread
from types import TracebackType
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from hgzoo.errors import ConfigError, InputError
from hgzoo.geometry import Box
from hgzoo.pictures import RGB, load
from hgzoo.skeletons import Pose

if TYPE_CHECKING:
    from torch import Tensor

    Picture = str | Path | Image.Image | NDArray[np.uint8] | Tensor

T = TypeVar("T")
K = TypeVar("K")

BATCH = 8
"""Pictures that pass the network at a time."""

PATIENCE = 1.0
"""Seconds after which a waiting thread looks round; Windows shows Ctrl-C only then."""


class Pipeline:
    """Stages that work at the same time, each in a thread of its own, in order.

    A stage is any iterable; its thread runs at most `ahead` items before whoever takes them. An
    error in a stage reaches the taker after the items before it. Leaving the `with` block, for
    whatever reason, stops every thread as soon as the item it is working on is done.

        with Pipeline(ahead=8) as pipeline:
            read = pipeline.stage(load(path) for path in paths)
            for drawn in pipeline.stage(draw(picture) for picture in read):
                ...

    Args:
        ahead: Items that may wait between two stages.

    Raises:
        ConfigError: None may wait.

    Examples:
        >>> from hgzoo.streams import Pipeline
        >>> with Pipeline(ahead=2) as pipeline:
        ...     read = pipeline.stage(number for number in range(3))
        ...     doubled = pipeline.stage(2 * number for number in read)
        ...     total = sum(doubled)
        ...
        >>> total
        6
    """

    def __init__(self, *, ahead: int = BATCH) -> None:
        if ahead < 1:
            raise ConfigError(f"ahead must be at least 1, got {ahead}")
        self.ahead = ahead
        self._stages: list[tuple[_Channel[object], Thread]] = []

    def __enter__(self) -> Pipeline:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for channel, _ in self._stages:
            channel.stop()
        for _, thread in self._stages:
            thread.join()

    def stage(self, items: Iterable[T]) -> Iterator[T]:
        """Run an iterable in a thread of its own, and return what it gives."""
        channel: _Channel[T] = _Channel(self.ahead)
        thread = Thread(target=_feed, args=(items, channel), name=f"stage {len(self._stages)}")
        self._stages.append((channel, thread))  # type: ignore[arg-type]
        thread.start()
        return iter(channel)


class _StoppedError(BaseException):
    """Ends a stage whose pipeline is left; nothing that handles errors should catch it."""


class _Channel(Generic[T]):
    """A queue of limited length that can be ended, by an error too, and stopped."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._items: deque[T] = deque()
        self._changed = Condition()
        self._ended = self._stopped = False
        self._error: BaseException | None = None

    def put(self, item: T) -> None:
        with self._changed:
            while len(self._items) >= self._limit and not self._stopped:
                self._changed.wait(PATIENCE)
            if self._stopped:
                raise _StoppedError
            self._items.append(item)
            self._changed.notify_all()

    def end(self, error: BaseException | None = None) -> None:
        with self._changed:
            self._ended, self._error = True, error
            self._changed.notify_all()

    def stop(self) -> None:
        with self._changed:
            self._stopped = True
            self._items.clear()
            self._changed.notify_all()

    def __iter__(self) -> Iterator[T]:
        while True:
            with self._changed:
                while not (self._items or self._ended or self._stopped):
                    self._changed.wait(PATIENCE)
                if self._stopped:
                    raise _StoppedError
                if not self._items:
                    break
                item = self._items.popleft()
                self._changed.notify_all()
            yield item
            del item  # or it would live until the next one comes
        if self._error is not None:
            raise self._error


def _feed(items: Iterable[T], channel: _Channel[T]) -> None:
    try:
        for item in items:
            channel.put(item)
        channel.end()
    except _StoppedError:
        pass
    except BaseException as error:  # noqa: BLE001 - it goes on in the thread that takes the items
        channel.end(error)
    finally:
        if isinstance(items, Generator):
            items.close()


class Predicts(Protocol):
    """What finds keypoints: a `Predictor`, or what stands in for one."""

    def many(
        self,
        pictures: Sequence[RGB],
        /,
        *,
        boxes: Sequence[Sequence[Box]] | None = None,
        heatmaps: bool = False,
    ) -> list[list[Pose]]:
        """Predict for a list of pictures, each with its list of boxes."""


@dataclass(frozen=True, eq=False)
class Shot(Generic[K]):
    """A picture on its way to the network.

    Attributes:
        key: What the caller knows it by.
        pixels: [H, W, 3], RGB, 0..255; None passes by the network and has no poses.
        boxes: (x0, y0, x1, y1) of each person, edges, pixels; None asks the predictor's detector.
            Either all pictures have boxes or none has.
        closes: Whether the batch ends here, even if it is not full.
    """

    key: K
    pixels: RGB | None
    boxes: Sequence[Box] | None = None
    closes: bool = False


def stream(
    predictor: Predicts,
    pictures: Iterable[Picture],
    *,
    boxes: Iterable[Sequence[Box]] | None = None,
    heatmaps: bool = False,
    batch: int = BATCH,
) -> Iterator[tuple[RGB, list[Pose]]]:
    """Predict for any number of pictures, in order, in memory that does not grow with them.

    Pictures are read, by a thread of their own, while earlier ones are in the network, and the
    network works, in another, while the caller handles what it gave. About four batches of
    pictures are held at a time. Whoever stops early calls `close()`, or drops the iterator.

    Args:
        predictor: A `Predictor`.
        pictures: Each as for a predictor's call; a generator is read no further than needed.
        boxes: For each picture its list of boxes (x0, y0, x1, y1), edges, pixels; for the same
            boxes in every picture give `itertools.repeat(boxes)`. None asks its detector.
        heatmaps: Keep every stack's heatmaps in the poses.
        batch: Pictures that pass the network at a time; 1 delays a live picture least.

    Yields:
        Each picture, [H, W, 3], RGB, 0..255, with its poses, one a box.

    Raises:
        InputError: A picture cannot be read, a box cannot be used, or boxes run out.
        ConfigError: A batch of less than one picture.

    Examples:
        >>> import hgzoo
        >>> from hgzoo.streams import stream
        >>> predictor = hgzoo.Predictor("hg1_nano", detector="whole")
        >>> for picture, poses in stream(predictor, ["photo.jpg", "photo.jpg"]):
        ...     print(picture.shape, len(poses))
        ...
        (528, 396, 3) 1
        (528, 396, 3) 1
    """
    with Pipeline(ahead=batch) as pipeline:
        shots = pipeline.stage(_loaded(pictures, boxes))
        found = predicted(predictor, shots, heatmaps=heatmaps, batch=batch)
        for shot, poses in pipeline.stage(found):
            assert shot.pixels is not None
            yield shot.pixels, poses


def predicted(
    predictor: Predicts, shots: Iterable[Shot[K]], *, heatmaps: bool = False, batch: int = BATCH
) -> Iterator[tuple[Shot[K], list[Pose]]]:
    """Give each picture its poses, batch by batch; the stage between reading and drawing.

    Args:
        predictor: A `Predictor`.
        shots: Pictures; those without pixels come out with no poses, in their place.
        heatmaps: Keep every stack's heatmaps in the poses.
        batch: Pictures that pass the network at a time.

    Examples:
        >>> import hgzoo
        >>> from hgzoo.pictures import load
        >>> from hgzoo.streams import Shot, predicted
        >>> predictor = hgzoo.Predictor("hg1_nano", detector="whole")
        >>> shots = [Shot("one", load("photo.jpg")), Shot("unreadable", None)]
        >>> [(shot.key, len(poses)) for shot, poses in predicted(predictor, shots)]
        [('one', 1), ('unreadable', 0)]
    """
    for together in _batches(shots, batch):
        seen = [shot for shot in together if shot.pixels is not None]
        pixels = [shot.pixels for shot in seen if shot.pixels is not None]
        boxes = [shot.boxes for shot in seen if shot.boxes is not None]
        people = iter(predictor.many(pixels, boxes=boxes or None, heatmaps=heatmaps))
        del pixels, seen
        while together:
            shot = together.pop(0)
            yield shot, [] if shot.pixels is None else next(people)


def _batches(shots: Iterable[Shot[K]], size: int) -> Iterator[list[Shot[K]]]:
    batch: list[Shot[K]] = []
    for shot in shots:
        batch.append(shot)
        if shot.closes or len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch


def _loaded(
    pictures: Iterable[Picture], boxes: Iterable[Sequence[Box]] | None
) -> Iterator[Shot[int]]:
    lists = None if boxes is None else iter(boxes)
    for number, picture in enumerate(pictures):
        wanted = None if lists is None else next(lists, None)
        if lists is not None and wanted is None:
            raise InputError(f"boxes end before picture {number}; give a list for every picture")
        yield Shot(number, load(picture), wanted)
