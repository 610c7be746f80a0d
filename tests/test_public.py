"""What users see of the package, and what loading it costs them."""

import subprocess
import sys

import pytest

import hgzoo

HEAVY = ("timm", "torchvision", "accelerate", "scipy", "matplotlib", "tensorboard")


def loaded_after(code: str) -> set[str]:
    """Run code in a fresh interpreter and return the top-level modules it loaded."""
    code += "\nimport sys; print(*{name.partition('.')[0] for name in sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split("\n")[-2].split())


def test_the_public_names_are_these() -> None:
    assert sorted(hgzoo.__all__) == [
        *("HgzooError", "Pose", "Predictor", "SKELETONS", "Skeleton", "StackedHourglass"),
        *("__version__", "create_model", "list_models", "model_info", "optimize"),
        *("push_to_hub", "register_with_timm"),
    ]


@pytest.mark.parametrize("name", hgzoo.__all__)
def test_every_public_name_loads_and_is_told(name: str) -> None:
    thing = getattr(hgzoo, name)
    assert name in dir(hgzoo)
    assert name in ("__version__", "SKELETONS") or thing.__doc__


def test_another_name_is_no_attribute() -> None:
    with pytest.raises(AttributeError, match="no attribute 'creat_model'"):
        hgzoo.creat_model  # noqa: B018


def test_importing_hgzoo_loads_nothing_heavy() -> None:
    assert not loaded_after("import hgzoo") & {*HEAVY, "torch", "cv2", "numpy"}


def test_help_does_not_load_torch() -> None:
    code = "import hgzoo.cli\ntry: hgzoo.cli.main(['predict', '--help'])\nexcept SystemExit: pass"
    assert not loaded_after(code) & {*HEAVY, "torch", "cv2", "numpy"}


def test_predicting_with_shipped_weights_never_loads_the_heavy_packages() -> None:
    code = "import hgzoo; from hgzoo.pictures import DEMO; hgzoo.Predictor('hg2_tiny')(DEMO)"
    loaded = loaded_after(code)
    assert "torch" in loaded
    assert not loaded & set(HEAVY)


def test_the_package_is_typed() -> None:
    from importlib.resources import files

    assert (files("hgzoo") / "py.typed").is_file()
