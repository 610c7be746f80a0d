"""Drawings that stand in a page as SVG: they take the page's colors, and can hold links.

What each class looks like, in light and dark, stands in docs/stylesheets/figures.css.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from html import escape
from math import hypot

Point = tuple[float, float]

LINE_HEIGHT = 17
ARROW = 7


@dataclass(kw_only=True)
class Drawing:
    """A picture made of boxes, lines and words.

    Attributes:
        width: Units; a unit is a CSS pixel where there is room.
        height: The same.
        title: What it shows, for those who do not see it.
        least: Width in CSS pixels below which it keeps its size and scrolls in its own box.
    """

    width: int
    height: int
    title: str
    least: int = 0
    _parts: list[str] = field(default_factory=list)
    _linked: bool = False

    def box(
        self,
        place: Point,
        size: Point,
        lines: Sequence[str],
        *,
        kind: str = "block",
        link: str = "",
        strong: bool = True,
    ) -> None:
        """Draw a rectangle with lines of text in its middle.

        Args:
            place: (x, y) of its top-left corner.
            size: (width, height).
            lines: The text.
            kind: How it looks.
            link: Where it leads.
            strong: Write the first line larger.
        """
        (x, y), (width, height) = place, size
        rectangle = (
            f'<rect class="{kind}" x="{_n(x)}" y="{_n(y)}" width="{_n(width)}" '
            f'height="{_n(height)}" rx="4"/>'
        )
        with_text = [rectangle, *_lines((x + width / 2, y + height / 2), lines, strong)]
        self._add("".join(with_text), link=link, label=", ".join(lines))

    def shape(
        self, corners: Iterable[Point], lines: Sequence[tuple[Point, str]], *, link: str = ""
    ) -> None:
        """Draw a polygon, with words at places of their own."""
        points = " ".join(f"{_n(x)},{_n(y)}" for x, y in corners)
        texts = [
            _text(place, words, "strong" if number == 0 else "small", "middle")
            for number, (place, words) in enumerate(lines)
        ]
        drawn = f'<polygon class="block" points="{points}"/>' + "".join(texts)
        self._add(drawn, link=link, label=", ".join(words for _, words in lines))

    def plus(self, place: Point, *, link: str = "") -> None:
        """Draw a plus in a circle: an addition."""
        x, y = place
        drawn = (
            f'<circle class="plus" cx="{_n(x)}" cy="{_n(y)}" r="9"/>'
            f'<path class="sign" d="M{_n(x - 5)} {_n(y)}h10M{_n(x)} {_n(y - 5)}v10"/>'
        )
        self._add(drawn, link=link, label="addition")

    def line(self, points: Sequence[Point], *, kind: str = "flow", arrow: bool = True) -> None:
        """Draw a line through points, with a head at its end."""
        path = "M" + "L".join(f"{_n(x)} {_n(y)}" for x, y in points)
        self._parts.append(f'<path class="{kind}" d="{path}"/>')
        if arrow:
            (x0, y0), (x1, y1) = points[-2:]
            length = hypot(x1 - x0, y1 - y0)
            dx, dy = ARROW * (x1 - x0) / length, ARROW * (y1 - y0) / length
            head = [
                (x1, y1),
                (x1 - dx - dy / 2, y1 - dy + dx / 2),
                (x1 - dx + dy / 2, y1 - dy - dx / 2),
            ]
            corners = " ".join(f"{_n(x)},{_n(y)}" for x, y in head)
            self._parts.append(f'<polygon class="head" points="{corners}"/>')

    def text(
        self,
        place: Point,
        words: str,
        *,
        kind: str = "small",
        anchor: str = "middle",
        link: str = "",
    ) -> None:
        """Write words, if there are any; `place` is their middle, start or end, halfway up."""
        if words:
            self._add(_text(place, words, kind, anchor), link=link, label=words)

    def dot(self, place: Point, *, kind: str, radius: float = 4) -> None:
        """Draw a filled circle."""
        x, y = place
        self._parts.append(f'<circle class="{kind}" cx="{_n(x)}" cy="{_n(y)}" r="{_n(radius)}"/>')

    def figure(self, caption: str) -> str:
        """Return it as a figure with a caption, for a page.

        A picture that holds links is a group, not an image: an image's parts are not told to those
        who do not see it.
        """
        style = f"max-width:{self.width}px" + (f";min-width:{self.least}px" if self.least else "")
        role = "group" if self._linked else "img"
        focus = "" if self._linked or not self.least else ' tabindex="0"'
        title = escape(self.title)
        opened = (
            f'<svg class="hg-drawing" viewBox="0 0 {self.width} {self.height}" role="{role}" '
            f'aria-label="{title}" style="{style}">'
        )
        inside = [opened, f"<title>{title}</title>", *self._parts, "</svg>"]
        return "\n".join(
            [
                '<figure class="hg-figure">',
                f'<div class="hg-scroll"{focus}>',
                *inside,
                "</div>",
                f"<figcaption>{caption}</figcaption>",
                "</figure>",
            ]
        )

    def _add(self, drawn: str, *, link: str, label: str) -> None:
        if link:
            self._linked = True
            target = link.partition("#")[2] or link
            drawn = (
                f'<a href="{escape(link)}" aria-label="{escape(f"{label}: {target}")}">'
                f"<title>{escape(target)}</title>{drawn}</a>"
            )
        self._parts.append(drawn)


@dataclass(frozen=True, kw_only=True)
class Axes:
    """A plot's frame inside a drawing.

    Attributes:
        drawing: Where it is drawn.
        left: Where the frame is, units of the drawing.
        right: The same.
        top: The same.
        bottom: The same.
        x: Smallest and largest number across.
        y: Smallest and largest number upwards.
    """

    drawing: Drawing
    left: float
    right: float
    top: float
    bottom: float
    x: Point
    y: Point

    def place(self, x: float, y: float) -> Point:
        """Return where a point of the plot lies in the drawing."""
        across = (x - self.x[0]) / (self.x[1] - self.x[0])
        up = (y - self.y[0]) / (self.y[1] - self.y[0])
        return (
            self.left + across * (self.right - self.left),
            self.bottom - up * (self.bottom - self.top),
        )

    def grid(
        self,
        x_ticks: Sequence[float],
        y_ticks: Sequence[float],
        *,
        x_label: str,
        y_label: str,
        write: Callable[[float], str] = "{:g}".format,
    ) -> None:
        """Draw lines at round numbers, the numbers, and what they are."""
        for tick in y_ticks:
            start, end = self.place(self.x[0], tick), self.place(self.x[1], tick)
            self.drawing.line([start, end], kind="base" if tick == 0 else "grid", arrow=False)
            self.drawing.text((self.left - 8, start[1]), write(tick), anchor="end")
        for tick in x_ticks:
            start, end = self.place(tick, self.y[0]), self.place(tick, self.y[1])
            self.drawing.line([start, end], kind="grid", arrow=False)
            self.drawing.text((start[0], self.bottom + 16), write(tick))
        self.drawing.text(((self.left + self.right) / 2, self.bottom + 38), x_label, kind="note")
        self.drawing.text((self.left - 34, self.top - 18), y_label, kind="note", anchor="start")

    def curve(self, x: Sequence[float], y: Sequence[float], *, series: int) -> None:
        """Draw a line through points."""
        points = [self.place(*point) for point in zip(x, y, strict=True)]
        self.drawing.line(points, kind=f"curve s{series}", arrow=False)

    def bar(self, x: float, width: float, height: float, *, series: int) -> None:
        """Draw a bar from 0 up, its left edge at x; `width` in units of the drawing."""
        (left, top), (_, base) = self.place(x, height), self.place(x, 0.0)
        self.drawing.box((left, top), (width, base - top), [], kind=f"bar s{series}")


def key(drawing: Drawing, place: Point, names: Sequence[str], *, kind: str = "curve") -> None:
    """Tell which curve or bar is which, from `place` (x, y) down."""
    x, y = place
    for number, name in enumerate(names):
        row, looks = y + number * 20, f"{kind} s{1 + number}"
        if kind == "bar":
            drawing.box((x + 8, row - 6), (12, 12), [], kind=looks)
        else:
            drawing.line([(x, row), (x + 26, row)], kind=looks, arrow=False)
        drawing.text((x + 32, row), name, anchor="start")


def _lines(middle: Point, lines: Sequence[str], strong: bool) -> list[str]:
    x, y = middle
    kinds = ("strong" if strong else "small", "small")
    top = y - LINE_HEIGHT * (len(lines) - 1) / 2
    return [
        _text((x, top + LINE_HEIGHT * number), words, kinds[number > 0], "middle")
        for number, words in enumerate(lines)
    ]


def _text(place: Point, words: str, kind: str, anchor: str) -> str:
    x, y = place
    return (
        f'<text class="{kind}" x="{_n(x)}" y="{_n(y)}" dy=".35em" text-anchor="{anchor}">'
        f"{escape(words)}</text>"
    )


def _n(value: float) -> str:
    """Write a number short: a tenth of a unit is finer than anybody sees."""
    return f"{round(value, 1) + 0.0:.1f}".removesuffix(".0")
