"""The notebooks run from top to bottom, and what is stored of them is theirs."""

import json
import re
from pathlib import Path

import pytest

from docs.make import notebooks


@pytest.mark.parametrize("name", notebooks.NAMES)
def test_a_notebook_runs_from_top_to_bottom(name: str, tmp_path: Path) -> None:
    executed = notebooks.execute(name, tmp_path)
    assert all(cell.get("execution_count") for cell in executed if cell["cell_type"] == "code")


def test_every_notebook_is_named() -> None:
    assert {path.stem for path in notebooks.FOLDER.glob("*.ipynb")} == set(notebooks.NAMES)


@pytest.mark.parametrize("name", notebooks.NAMES)
def test_notebooks_are_stored_without_outputs(name: str) -> None:
    code = [cell for cell in notebooks.cells(name) if cell["cell_type"] == "code"]
    assert [cell["outputs"] for cell in code] == [[]] * len(code)
    assert {cell["execution_count"] for cell in code} == {None}


def test_a_notebook_that_has_changed_gives_no_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = notebooks.NAMES[0]
    table = json.loads((notebooks.FOLDER / f"{name}.ipynb").read_text(encoding="utf-8"))
    table["cells"][-1]["source"].append("\n# more")
    (tmp_path / f"{name}.ipynb").write_text(json.dumps(table), encoding="utf-8")
    monkeypatch.setattr(notebooks, "FOLDER", tmp_path)
    with pytest.raises(ValueError, match=r"python -m docs\.make\.notebooks"):
        notebooks.page(name)


def test_every_picture_of_a_page_is_there() -> None:
    shown = {
        picture
        for name in notebooks.NAMES
        for picture in re.findall(r"!\[.+?\]\(\.\./images/notebooks/(.+?)\)", notebooks.page(name))
    }
    assert shown == {path.name for path in notebooks.PICTURES.iterdir()}
