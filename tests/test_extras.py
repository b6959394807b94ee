import re
import shlex
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest

from spp_keras import _extras

ROOT = Path(__file__).parents[1]
EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]


def names(requirements):
    return sorted(re.match(r"[\w-]+", one)[0] for one in requirements)


def test_the_line_names_the_packages_of_the_extra_and_the_python_that_runs():
    python, *pip, matplotlib, opencv, pycocotools, scikit_learn, scipy = shlex.split(
        _extras.install_line("detection")
    )
    assert [python, *pip] == [sys.executable, "-m", "pip", "install"]
    packages = [matplotlib, opencv, pycocotools, scikit_learn, scipy]
    assert packages == sorted(EXTRAS["detection"])


def named_extras():
    """Every extra that the package names in an error."""
    pattern = re.compile(
        r"""(?:install_line\(|require\(\s*|import_package\(\s*(?:"[\w.]+"|\w+),\s*)["'](\w+)["']"""
    )
    files = [*(ROOT / "spp_keras").rglob("*.py")]
    return sorted({name for file in files for name in pattern.findall(file.read_text())})


def test_errors_name_six_extras():
    assert named_extras() == ["demo", "detection", "heic", "tflite", "train", "weights"]


@pytest.mark.parametrize("extra", named_extras())
def test_the_line_of_every_extra_is_that_of_pyproject(extra):
    assert names(shlex.split(_extras.install_line(extra))[4:]) == names(EXTRAS[extra])


def test_a_missing_package_is_named_with_the_line_that_installs_it():
    with pytest.raises(ImportError) as error:
        _extras.require("train", "Training", "sys", "no_such_package")
    assert str(error.value) == (
        "Training needs the package `no_such_package`. "
        f"Install it with: {_extras.install_line('train')}"
    )


def test_a_package_that_does_not_load_says_why(tmp_path, monkeypatch):
    (tmp_path / "half_a_package.py").write_text("from sys import no_such_name")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ImportError, match="The import failed: cannot import name 'no_such_name'"):
        _extras.import_package("half_a_package", "train", "Training")


def test_a_clone_that_is_not_installed_is_named_itself(monkeypatch):
    def missing(name):
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "requires", missing)
    monkeypatch.setattr(sys, "executable", "/a folder/bin/python")
    found = _extras.install_line("detection")
    assert found == f"'/a folder/bin/python' -m pip install '{ROOT}[detection]'"


def test_pip_understands_the_line():
    """All of it is here, so that pip asks no index."""
    command = [*shlex.split(_extras.install_line("detection")), "--dry-run", "--no-index"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    assert "Requirement already satisfied: scikit-learn" in done.stdout


def test_nothing_tells_users_to_install_this_package_from_an_index():
    """It is on none: whoever took the name there would be installed."""
    suffixes = (".py", ".md", ".toml", ".html")
    named = re.compile(r"pip install[^\n`]*?[ '\"]spp[_-]keras\b")
    found = [
        f"{path.relative_to(ROOT)}: {match[0]}"
        for folder in ("spp_keras", "docs", "zoo", "saved_models", "benchmarks", "examples", ".")
        for path in sorted((ROOT / folder).glob("*" if folder == "." else "**/*"))
        if path.suffix in suffixes
        for match in named.finditer(path.read_text())
    ]
    assert found == []
