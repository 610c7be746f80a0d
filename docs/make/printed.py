"""What examples print, beside the examples: errors that a page shows are those that come."""

from __future__ import annotations

import contextlib
import io
import os
import re
import shutil
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from docs.make.pages import ROOT, Make
from tests.people import WALKING

MARK = "errors"
PAGES = ("docs/guides/pictures.md", "docs/guides/variant.md")


def printed(page: str) -> str:
    """Run the example above a page's mark, and return what it prints as a block.

    Args:
        page: Path from the root of the repository.
    """
    before = (ROOT / page).read_text(encoding="utf-8").partition(f"<!-- begin {MARK} -->")[0]
    code = re.findall(r"```python\n(.*?)```", before, re.DOTALL)[-1]
    shown, here = io.StringIO(), Path.cwd()
    with TemporaryDirectory() as folder, contextlib.redirect_stdout(shown):
        shutil.copy(WALKING, Path(folder) / "photo.jpg")
        os.chdir(folder)
        try:
            exec(compile(code, page, "exec"), {})
        finally:
            os.chdir(here)
    return f"```text\n{shown.getvalue().rstrip()}\n```"


WHOLE: dict[str, Make] = {}

PARTS: dict[tuple[str, str], Make] = {(page, MARK): partial(printed, page) for page in PAGES}
