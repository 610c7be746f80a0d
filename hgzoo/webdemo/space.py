"""Writes the page as a Hugging Face Space: a folder to be pushed to one."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from hgzoo import __version__
from hgzoo.errors import ConfigError, require
from hgzoo.files import write_text, writing
from hgzoo.webdemo.networks import Networks

PORT = 7860
"""Where Spaces expect a page."""

APP = '''\
"""The demo page of hgzoo, as a Hugging Face Space."""

import sys

from hgzoo.cli import main

OPTIONS = {options}

if __name__ == "__main__":
    sys.exit(main(["demo", "--host", "0.0.0.0", "--port", "{port}", "--no-browser", *OPTIONS]))
'''

README = """\
---
title: hgzoo
emoji: ⏳
colorFrom: blue
colorTo: gray
sdk: gradio
sdk_version: "{gradio}"
python_version: "3.11"
app_file: app.py
license: apache-2.0
short_description: Keypoints and the heatmaps of every stacked hourglass
pinned: false
---

# What a stacked hourglass network sees

Choose a picture, draw a box or none, and see the keypoints, their scores, and the heatmaps of every
hourglass from the first to the last. It is the page that `hgzoo demo` opens.

- `app.py` calls the library.
- `requirements.txt` asks PyPI for `hgzoo[demo]`. Where hgzoo is not on PyPI, build its wheel
  (`python -m build --wheel`), push `{wheel}` into this Space, and write its address instead:
  `hgzoo[demo] @ https://huggingface.co/spaces/OWNER/NAME/resolve/main/{wheel}`. A path beside
  `requirements.txt` may not do: Spaces may install packages before they copy the other files.
- The code is Apache-2.0. Weights carry the terms on their cards: `hgzoo info hg2_tiny --card`.
- Pictures that visitors send lie in a temporary folder and are removed after an hour or so.
"""


def write(folder: Path, named: Sequence[str]) -> list[Path]:
    """Write the Space.

    Args:
        folder: An empty folder, or none yet.
        named: Networks to offer first: names of the zoo or of the Hub.

    Returns:
        The files.

    Raises:
        ConfigError: The folder is not empty, or a network is a file of this machine.
        UnknownNameError: No such variant or weights.
        MissingExtraError: gradio is not installed.
        OutputError: The folder cannot be written.
    """
    gradio: str = require("gradio", extra="demo").__version__
    Networks(named)  # refuses what does not exist
    local = [name for name in named if Path(name.removeprefix("local-dir:")).exists()]
    if local:
        raise ConfigError(
            f"{local[0]} lies on this machine, where a Space cannot read it; push it to the Hub "
            "(hgzoo push) and name it hf-hub:owner/name"
        )
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ConfigError(f"{folder} is not an empty folder; name another one")
    options = [word for name in named for word in ("--model", name)]
    texts = {
        "app.py": APP.format(options=json.dumps(options), port=PORT),
        "requirements.txt": requirements(),
        "README.md": README.format(gradio=gradio, wheel=f"hgzoo-{__version__}-py3-none-any.whl"),
    }
    with writing(folder):
        for name, text in texts.items():
            write_text(folder / name, text.rstrip("\n"))
    return [folder / name for name in texts]


def requirements() -> str:
    """Return what a Space installs: torch without CUDA, this version of hgzoo, its needs."""
    major, minor, _ = __version__.split(".", 2)
    return (
        "--extra-index-url https://download.pytorch.org/whl/cpu\n"
        "torch>=2.10,<3\n"
        f"hgzoo[demo]>={__version__},<{major}.{int(minor) + 1}\n"
    )
