"""The drawings of the documentation, and the map from the paper to the code."""

import re
from dataclasses import replace
from xml.etree import ElementTree

import pytest
import torch
from torch import nn

from docs.make import anatomy, decoding, paper, results
from docs.make.links import address, reference
from docs.make.pages import Make
from docs.make.svg import Axes, Drawing
from hgzoo.blocks import Feedback

FIGURES = [
    *(anatomy.whole, anatomy.stem, anatomy.hourglass, anatomy.residual, anatomy.supervision),
    *(decoding.convention, decoding.frames, decoding.bias, decoding.mean_errors),
    *(results.lsp_curves, results.mpii_curves, results.stacks),
]


@pytest.mark.parametrize("make", FIGURES, ids=lambda make: make.__name__)
def test_a_figure_is_well_formed_told_and_inside_its_frame(make: Make) -> None:
    svg = ElementTree.fromstring(make()).find(".//svg")
    assert svg is not None
    links = svg.findall("a")
    assert svg.get("role") == ("group" if links else "img")
    assert svg.get("aria-label") == svg.findtext("title")
    assert all(link.get("aria-label") for link in links)
    left, top, width, height = map(float, svg.get("viewBox", "").split())
    for box in svg.iter("rect"):
        x, y, wide, high = (float(box.get(name, "nan")) for name in ("x", "y", "width", "height"))
        assert left <= x <= x + wide <= left + width
        assert top <= y <= y + high <= top + height


def test_links_lead_to_what_there_is() -> None:
    assert address("hgzoo.blocks.Hourglass") == "../reference/blocks/#hgzoo.blocks.Hourglass"
    assert reference("hgzoo.inference.read_keypoints") == "`inference.read_keypoints`"
    with pytest.raises(AttributeError):
        address("hgzoo.blocks.Sandglass")


def test_shapes_are_those_that_were_seen() -> None:
    class Parts(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one = nn.Conv2d(3, 5, 3, stride=2)

        def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            return x, self.one(x)

    seen = anatomy.observe(Parts(), torch.zeros(1, 3, 9, 7))
    assert seen["one"] == anatomy.Seen(((3, 9, 7),), ((5, 4, 3),))
    assert seen[""].outputs == ((3, 9, 7), (5, 4, 3))


def test_the_anatomy_shows_the_sizes_of_hg2() -> None:
    drawn = anatomy.hourglass()
    assert {f"{size}×{size}" for size in (64, 32, 16, 8, 4)} <= set(re.findall(r"\d+×\d+", drawn))
    assert anatomy.whole().count("16 × 64 × 64</text>") == 2


def test_the_lines_of_a_function_stand_alone() -> None:
    assert anatomy.body(Feedback.forward).splitlines() == [
        "``` { .python }",
        "out: Tensor = x + self.feats(feats) + self.heatmaps(heatmaps)",
        "return out",
        "```",
    ]


def test_a_plot_puts_numbers_where_they_belong() -> None:
    drawing = Drawing(width=100, height=100, title="A plot")
    axes = Axes(drawing=drawing, left=10, right=90, top=20, bottom=80, x=(0, 4), y=(-1, 1))
    assert axes.place(0, -1) == (10, 80)
    assert axes.place(2, 0) == (50, 50)
    assert axes.place(4, 1) == (90, 20)


def test_bias_is_what_the_older_code_has() -> None:
    _, found = decoding.sweep()
    means = {name: sum(values) / len(values) for name, values in found.items()}
    assert means.pop(decoding.OLDER) == pytest.approx(-1.5, abs=0.01)
    assert all(abs(mean) < 0.01 for mean in means.values())


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"code": ("hgzoo.blocks.Sandglass",)}, AttributeError, "Sandglass"),
        ({"code": ("recipe hg3",)}, ValueError, "zoo_configs/hg3.toml"),
        ({"tests": ("test_blocks::test_nothing",)}, ValueError, "test_nothing"),
        ({"tests": ("test_no_file::test_nothing",)}, ValueError, "test_no_file"),
    ],
)
def test_a_statement_needs_code_and_tests_that_exist(
    change: dict[str, tuple[str, ...]], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        paper.row(replace(paper.STATEMENTS[0], **change))


def test_every_section_of_the_paper_has_a_title() -> None:
    sections = list(dict.fromkeys(one.section for one in paper.STATEMENTS))
    assert sections == list(paper.TITLES)
