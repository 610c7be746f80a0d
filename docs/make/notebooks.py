"""The notebooks' pages: what they say, their code, and what it gave.

    python -m docs.make.notebooks   executes the notebooks, and keeps what they print and show

Notebooks are stored without outputs. What they gave when they were last executed lies in
`docs/results/notebooks.json` and `docs/images/notebooks/`; the pages are made of both, and cannot
be made once a notebook's code is another than that which was executed.
"""

from __future__ import annotations

import base64
import io
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from docs.make.pages import ROOT, Make, write

NAMES = ("predict", "finetune")
FOLDER = ROOT / "docs" / "notebooks"
PICTURES = ROOT / "docs" / "images" / "notebooks"
RESULTS = "docs/results/notebooks.json"
SECONDS = 600

Cell = Mapping[str, Any]  # Any: JSON


def cells(name: str) -> list[Cell]:
    """Read a notebook's cells."""
    table = json.loads((FOLDER / f"{name}.ipynb").read_text(encoding="utf-8"))
    return list(table["cells"])


def execute(name: str, folder: Path) -> list[Cell]:
    """Run a notebook from top to bottom, without a network.

    Args:
        name: One of `NAMES`.
        folder: Where it runs, and leaves its files.

    Returns:
        Its cells with their outputs.

    Raises:
        CellExecutionError: A cell has failed.
    """
    import nbformat
    from nbclient import NotebookClient

    book = nbformat.read(FOLDER / f"{name}.ipynb", as_version=4)
    place = {"metadata": {"path": str(folder)}}
    client = NotebookClient(book, timeout=SECONDS, kernel_name="python3", resources=place)
    alone = {"PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    client.execute(env={**os.environ, **alone})
    return list(book["cells"])


def kept(name: str, executed: Sequence[Cell]) -> Iterator[dict[str, Any]]:
    """Keep what each code cell printed and showed; pictures become files.

    Args:
        name: Of the notebook.
        executed: Its cells with their outputs.

    Yields:
        For each code cell its source, and a list of {"text"} or {"picture", "alt"}.
    """
    from PIL import Image

    number = 0
    for cell in executed:
        if cell["cell_type"] != "code":
            continue
        gave: list[dict[str, str]] = []
        for output in cell["outputs"]:
            if output.get("name") == "stdout":
                gave.append({"text": output["text"].rstrip("\n")})
            elif output["output_type"] == "display_data":
                number += 1
                path = PICTURES / f"{name}-{number}.webp"
                picture = Image.open(io.BytesIO(base64.b64decode(output["data"]["image/png"])))
                picture.save(path, quality=85)
                alt = output["metadata"]["image/png"]["alt"]
                gave.append({"picture": path.name, "alt": alt})
        yield {"source": cell["source"], "gave": gave}


def page(name: str) -> str:
    """Return the page of a notebook.

    Args:
        name: One of `NAMES`.

    Raises:
        ValueError: Its code has changed since it was executed.
    """
    results = json.loads((ROOT / RESULTS).read_text(encoding="utf-8"))
    gave = iter(results[name])
    title, *parts = list(_parts(name, gave))
    if next(gave, None) is not None:
        raise ValueError(_stale(name))
    heading, _, rest = title.partition("\n\n")
    where = f"[{name}.ipynb]({name}.ipynb) as it was last executed:"
    return "\n\n".join([heading, where, rest, *parts]) + "\n"


def _parts(name: str, gave: Iterator[Cell]) -> Iterator[str]:
    for cell in cells(name):
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            yield source
            continue
        one = next(gave, None)
        if one is None or one["source"] != source:
            raise ValueError(_stale(name))
        yield f"```python\n{source}\n```"
        for output in one["gave"]:
            if "text" in output:
                yield f"```text\n{output['text']}\n```"
            else:
                yield f"![{output['alt']}](../images/notebooks/{output['picture']})"


def _stale(name: str) -> str:
    return f"{name}.ipynb has changed since it was executed: python -m docs.make.notebooks"


WHOLE: dict[str, Make] = {f"docs/notebooks/{name}.md": partial(page, name) for name in NAMES}

PARTS: dict[tuple[str, str], Make] = {}


def main() -> None:
    """Execute every notebook, and keep what it gave."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    for path in PICTURES.iterdir():
        path.unlink()
    results = {}
    for name in NAMES:
        with TemporaryDirectory() as folder:
            results[name] = list(kept(name, execute(name, Path(folder))))
    write(RESULTS, json.dumps(results, indent=2, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
