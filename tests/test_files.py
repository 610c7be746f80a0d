"""Files are written whole or not at all."""

from pathlib import Path

import pytest

from hgzoo.files import atomic


def test_a_file_appears_whole_in_a_new_folder(tmp_path: Path) -> None:
    path = tmp_path / "new" / "a.txt"
    with atomic(path) as temporary:
        temporary.write_text("all", encoding="utf-8")
        assert not path.exists()
    assert path.read_text(encoding="utf-8") == "all"
    assert [p.name for p in path.parent.iterdir()] == ["a.txt"]


def test_a_failure_leaves_the_old_file_and_no_litter(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old", encoding="utf-8")

    def fail() -> None:
        with atomic(path) as temporary:
            temporary.write_text("half", encoding="utf-8")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert path.read_text(encoding="utf-8") == "old"
    assert len(list(tmp_path.iterdir())) == 1


def test_a_file_is_replaced_at_once_not_written_over(tmp_path: Path) -> None:
    """Who has the old file still reads all of it, here by another name of it."""
    path, other = tmp_path / "a.txt", tmp_path / "b.txt"
    path.write_text("old", encoding="utf-8")
    other.hardlink_to(path)
    with atomic(path) as temporary:
        temporary.write_text("new", encoding="utf-8")
    assert path.read_text(encoding="utf-8") == "new"
    assert other.read_text(encoding="utf-8") == "old"


def test_permissions_are_the_usual_ones(tmp_path: Path) -> None:
    usual, written = tmp_path / "usual", tmp_path / "written"
    usual.touch()
    with atomic(written) as temporary:
        temporary.touch()
    assert written.stat().st_mode == usual.stat().st_mode
