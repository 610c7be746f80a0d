"""The page: its components, and which event computes what. Gradio is imported only here."""

from __future__ import annotations

import html
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gradio as gr

from hgzoo import pictures
from hgzoo.decoders import DECODERS
from hgzoo.errors import HgzooError
from hgzoo.webdemo import chosen, looking
from hgzoo.webdemo.chosen import Corner, Picture
from hgzoo.webdemo.looking import Seen
from hgzoo.webdemo.networks import Networks

TITLE = "hgzoo: what the network sees"
INTRODUCTION = (
    "Choose a picture, find the keypoints, then move the slider: it shows the heatmaps of each "
    "hourglass, from the first guess to the last."
)
DRAW = (
    "Two clicks on the picture draw a box around one person. Without a box, people are looked for."
)
NEXT_CORNER = "Now click the opposite corner."
CHOOSE = "Choose a picture first."

FILES_AGE = 3600
"""Seconds after which what a visitor sent or got may be deleted."""

WAITING = 16
"""Questions that wait for the network; more are told to come back."""

FONT = ("system-ui", "sans-serif")
MONOSPACE = ("ui-monospace", "monospace")

CSS = """
.gradio-container {max-width: 1180px !important; margin: 0 auto !important}
#title h1 {margin-bottom: 0}
#message p {
  margin: 0; padding: .6rem .8rem; border-left: 4px solid var(--color-accent);
  background: var(--background-fill-secondary);
}
#message p[role=alert] {border-left-color: #dc2626; font-weight: 600}
#skeletons img, #heatmap img {max-height: 60vh; object-fit: contain}
#picture img {max-height: 45vh; object-fit: contain; cursor: crosshair}
#file .icon-wrap {display: none}
#edges {flex-wrap: nowrap}
#box p {margin: 0}
#edges input {text-align: right; padding: .4rem}
#caption p {margin: 0}
table.scores {width: 100%; border-collapse: collapse; font-variant-numeric: tabular-nums}
table.scores caption {text-align: left; padding-bottom: .4rem}
table.scores tr {border-bottom: 1px solid var(--border-color-primary)}
table.scores th, table.scores td {padding: .15rem .4rem; text-align: right; font-weight: 400}
table.scores thead th {font-weight: 600}
table.scores th:first-child, table.scores th:last-child, table.scores td:last-child {
  text-align: left;
}
table.scores th:last-child, table.scores td:last-child {width: 40%; padding-left: 1.2rem}
table.scores .bar {display: block; height: 4px; background: var(--color-accent)}
"""


def theme() -> gr.themes.Base:
    """Return a plain theme whose fonts are the machine's own: nothing is fetched."""
    plain = gr.themes.Base(
        primary_hue="blue", neutral_hue="slate", font=list(FONT), font_mono=list(MONOSPACE)
    )
    return plain.set(  # so that all can be read: contrasts of 4.5 and more
        body_text_color_subdued="*neutral_500",
        button_primary_background_fill="*primary_600",
        button_primary_background_fill_hover="*primary_700",
    )


def make(networks: Networks, folder: Path) -> gr.Blocks:
    """Lay the page out.

    Args:
        networks: What visitors may choose from.
        folder: Where files for visitors are written.
    """
    blocks = gr.Blocks(
        title=TITLE, analytics_enabled=False, delete_cache=(FILES_AGE // 4, FILES_AGE)
    )
    with blocks:
        layout = _Page(networks, folder)
        layout.connect()
        # A number is 0 until somebody empties it; a picture to try is more welcome than none.
        blocks.load(layout.open_demo, None, layout.new, api_visibility="private")
    blocks.queue(max_size=WAITING, default_concurrency_limit=4, api_open=False)
    return blocks


class _Page:
    """The components, made when the page is laid out, and what happens at each event.

    Each handler returns a new value for each of its outputs.
    """

    def __init__(self, networks: Networks, folder: Path) -> None:
        self.networks = networks
        self.folder = folder
        self.picture = gr.State(None)
        self.corner = gr.State(None)
        self.seen = gr.State(None)
        gr.Markdown(f"# {TITLE}\n\n{INTRODUCTION}", elem_id="title")
        self.message = gr.HTML(_said(DRAW), elem_id="message")
        with gr.Row():
            with gr.Column(scale=2, min_width=320):
                self._lay_out_choice()
            with gr.Column(scale=3, min_width=320):
                self._lay_out_result()
        self.box = [self.shown, self.corner, *self.edges, self.message]
        self.new = [self.picture, *self.box]
        self.result = [self.seen, self.skeletons, self.heatmap, self.details]

    def _lay_out_choice(self) -> None:
        most = f"at most {chosen.MOST_BYTES // 2**20} MB"
        self.file = gr.File(
            label=f"Choose or drop a picture ({most})",
            file_types=["image"],
            height=110,
            elem_id="file",
        )
        self.demo = gr.Button("Use the demo picture", size="sm", elem_id="demo")
        self.shown = gr.Image(
            label="Your picture: click two corners of a box",
            alt_text="The chosen picture, with the box if there is one",
            interactive=False,
            buttons=[],
            visible=False,
            elem_id="picture",
        )
        self.find = gr.Button("Find the keypoints", variant="primary", elem_id="find")
        gr.HTML("<p>Box round one person, in pixels of the picture:</p>", elem_id="box")
        with gr.Row(elem_id="edges"):
            self.edges = [
                gr.Number(
                    None, label=label, placeholder="-", min_width=60, precision=1, elem_id=name
                )
                for name, label in (
                    *(("x0", "Left"), ("y0", "Top")),
                    *(("x1", "Right"), ("y1", "Bottom")),
                )
            ]
        self.clear = gr.Button("No box: look for people", size="sm", elem_id="clear")
        with gr.Row():
            names = self.networks.names
            self.network = gr.Dropdown(names, value=names[0], label="Network", elem_id="network")
            decoders = [("default", ""), *((name, name) for name in DECODERS)]
            self.decoder = gr.Dropdown(decoders, value="", label="Decoder", elem_id="decoder")

    def _lay_out_result(self) -> None:
        with gr.Row():
            self.skeletons = gr.Image(
                label="Keypoints",
                alt_text="The picture with a skeleton over each person found",
                interactive=False,
                buttons=["fullscreen"],
                min_width=240,
                elem_id="skeletons",
            )
            self.heatmap = gr.Image(
                label="Heatmaps",
                alt_text="Heatmaps of the chosen hourglass over what the network saw",
                interactive=False,
                buttons=["fullscreen"],
                min_width=240,
                elem_id="heatmap",
            )
        with gr.Column(visible=False, elem_id="details") as self.details:
            self.stack = gr.Slider(
                1, 2, value=1, step=1, label="Hourglass, first to last", buttons=[], elem_id="stack"
            )
            self.caption = gr.HTML("", elem_id="caption")
            with gr.Row():
                self.keypoint = gr.Dropdown(
                    [("all keypoints", "")], value="", label="Heatmap of", elem_id="keypoint"
                )
                self.person = gr.Dropdown(
                    [("Person 1 of 1", 0)], value=0, label="Person", visible=False, elem_id="person"
                )
            self.table = gr.HTML("", apply_default_css=False, elem_id="scores")
            with gr.Row():
                self.json = gr.DownloadButton("Keypoints (JSON)", size="md", elem_id="json")
                self.png = gr.DownloadButton("Picture (PNG)", size="md", elem_id="png")

    def connect(self) -> None:
        """Say which event computes what."""
        quick: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
        for opened in (
            self.file.upload(self._open, self.file, self.new, **quick),
            self.file.clear(self._close, None, self.new, **quick),
            self.demo.click(self.open_demo, None, self.new, **quick),
        ):
            opened.then(_no_result, None, self.result, **quick)
        self.demo.click(lambda: None, None, self.file, **quick)
        self.shown.select(self._click, [self.picture, self.corner], self.box, **quick)
        self.clear.click(self._clear, self.picture, self.box, **quick)
        for edge in self.edges:
            edge.input(
                self._type,
                [self.picture, *self.edges],
                [self.shown, self.corner],
                trigger_mode="always_last",
                **quick,
            )
        self.find.click(
            self._find,
            [self.picture, self.network, self.decoder, *self.edges],
            [
                *(self.message, *self.result, self.stack, self.caption, self.keypoint),
                *(self.person, self.table, self.json, self.png),
            ],
            api_visibility="private",
            show_progress="minimal",
            show_progress_on=[self.skeletons],
            concurrency_limit=1,
        )
        looked = [self.seen, self.person, self.stack, self.keypoint]
        for component in (self.stack, self.keypoint):
            component.input(
                self._show_heatmap,
                looked,
                [self.heatmap, self.caption],
                trigger_mode="always_last",
                **quick,
            )
        self.person.input(
            self._show_person,
            looked,
            [self.skeletons, self.heatmap, self.caption, self.table],
            **quick,
        )

    def _open(self, path: str | None) -> Sequence[Any]:
        if path is None:
            return self._close()
        try:
            picture = chosen.open_picture(Path(path))
        except HgzooError as error:
            return [None, gr.Image(None, visible=False), *_no_box(_said(error))]
        return [picture, gr.Image(picture.shown, visible=True), *_no_box(_said(DRAW))]

    def open_demo(self) -> Sequence[Any]:
        """Take the picture that comes with hgzoo."""
        return self._open(str(pictures.DEMO))

    def _close(self) -> Sequence[Any]:
        return [None, gr.Image(None, visible=False), *_no_box(_said(CHOOSE))]

    def _click(
        self, picture: Picture | None, corner: Corner | None, event: gr.SelectData
    ) -> Sequence[Any]:
        if picture is None:
            return [None, *_no_box(_said(CHOOSE))]
        x, y = int(event.index[0]), int(event.index[1])
        if corner is None:
            marked = chosen.with_box(picture, None, corner=(x, y))
            return [marked, (x, y), *[None] * 4, _said(NEXT_CORNER)]
        box = chosen.drawn_box(picture, corner, (x, y))
        return [chosen.with_box(picture, box), None, *box, _said("The box is drawn.")]

    def _clear(self, picture: Picture | None) -> Sequence[Any]:
        return [None if picture is None else picture.shown, *_no_box(_said(DRAW))]

    def _type(self, picture: Picture | None, *edges: float | None) -> Sequence[Any]:
        """Draw the box that is being typed, once it is one."""
        if picture is None:
            return [None, None]
        try:
            box = chosen.typed_box(edges)
        except HgzooError:  # told when the network is asked
            box = None
        return [chosen.with_box(picture, box), None]

    def _find(
        self, picture: Picture | None, network: str, decoder: str, *edges: float | None
    ) -> Sequence[Any]:
        try:
            if picture is None:
                return _nothing(_said(CHOOSE, alert=True))
            seen = looking.look(
                picture,
                self.networks,
                network=network,
                decoder=decoder,
                box=chosen.typed_box(edges),
            )
            record, drawn = looking.save(seen, Path(tempfile.mkdtemp(dir=self.folder)))
        except HgzooError as error:
            return _nothing(_said(error))
        people = [(name, person) for person, name in enumerate(looking.people(seen))]
        keypoints = [
            ("all keypoints", ""),
            *((name.replace("_", " "), name) for name in seen.keypoints),
        ]
        stacks = seen.num_stacks
        return [
            _said(looking.summary(seen)),
            seen,
            looking.skeletons(seen, 0),
            looking.heatmap(seen, 0, stack=1),
            gr.Column(visible=True),
            gr.Slider(maximum=max(stacks, 2), value=1, visible=stacks > 1),
            _said(looking.caption(seen, 0, stack=1)),
            gr.Dropdown(keypoints, value=""),
            gr.Dropdown(people, value=0, visible=len(people) > 1),
            looking.table(seen, 0),
            gr.DownloadButton(value=record),
            gr.DownloadButton(value=drawn),
        ]

    def _show_heatmap(
        self, seen: Seen | None, person: int, stack: int, keypoint: str
    ) -> Sequence[Any]:
        if seen is None:
            return [None, ""]
        return [
            looking.heatmap(seen, person, stack=stack, keypoint=keypoint),
            _said(looking.caption(seen, person, stack=stack, keypoint=keypoint)),
        ]

    def _show_person(
        self, seen: Seen | None, person: int, stack: int, keypoint: str
    ) -> Sequence[Any]:
        if seen is None:
            return [None, None, "", ""]
        heatmap, caption = self._show_heatmap(seen, person, stack, keypoint)
        return [looking.skeletons(seen, person), heatmap, caption, looking.table(seen, person)]


def _said(what: str | HgzooError, *, alert: bool = False) -> str:
    """Return a sentence for the page; an error is announced as one."""
    role = "alert" if alert or isinstance(what, HgzooError) else "status"
    return f"<p role='{role}'>{html.escape(str(what))}</p>"


def _no_box(message: str) -> list[Any]:
    """Return empty values for the corner and the four edges, and a message."""
    return [None, *[None] * 4, message]


def _no_result() -> list[Any]:
    """Return empty values for what is shown of a result, which is hidden then."""
    return [None, None, None, gr.Column(visible=False)]


def _nothing(message: str) -> list[Any]:
    """Return what the page shows where nothing could be found."""
    return [message, *_no_result(), *[gr.skip()] * 7]
