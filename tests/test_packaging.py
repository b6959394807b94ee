import email
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest
import yaml

import spp_keras

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[1]
CODE = ("spp_keras", "zoo", "tests", "examples", "benchmarks", "saved_models", ".ci")
FILES = ("pyproject.toml", ".gitignore", "LICENSE", "CITATION.cff")
# What trainings, Python and editors leave in a checkout.
LEFT_BEHIND = (
    "runs/zf5_spp/best.weights.h5",
    "benchmarks/runs/one/last.npz",
    "spp_keras/data/__pycache__/sizes.cpython-311.pyc",
    "examples/network.keras",
    "zoo/zf5_spp/runs/best.weights.h5",
    "notes.txt",
)


def run(*command, cwd, timeout=300, **environment):
    done = subprocess.run(
        command,
        cwd=cwd,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=timeout,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def files_below(folder):
    return {
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    }


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    """A copy that has been worked in."""
    folder = tmp_path_factory.mktemp("checkout")
    ignore = shutil.ignore_patterns("__pycache__", "runs", ".*_cache", "*.keras")
    for name in CODE:
        shutil.copytree(ROOT / name, folder / name, ignore=ignore)
    for path in (*(ROOT / name for name in FILES), *ROOT.glob("*.md")):
        shutil.copy(path, folder)
    for name in LEFT_BEHIND:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("left behind")
    # A part of the package that is no Python, wherever it comes to lie.
    (folder / "spp_keras" / "serving" / "some_page.html").write_text("<html></html>")
    return folder


@pytest.fixture(scope="module")
def sdist(checkout):
    """The sdist, unpacked."""
    run(sys.executable, "-m", "hatchling", "build", "-t", "sdist", "-d", "made", cwd=checkout)
    (packed,) = (checkout / "made").iterdir()
    with tarfile.open(packed) as archive:
        archive.extractall(checkout / "unpacked", filter="data")
    return checkout / "unpacked" / packed.name.removesuffix(".tar.gz")


@pytest.fixture(scope="module")
def wheel(sdist):
    """The wheel that is built from the sdist, as where no wheel fits."""
    run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", "made", cwd=sdist)
    (made,) = (sdist / "made").glob("*.whl")
    return made


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """A function that runs a command where the wheel is installed and the checkout is not."""
    site = tmp_path_factory.mktemp("site")
    pip = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-index"]
    run(*pip, "--target", str(site), str(wheel), cwd=site)
    elsewhere = tmp_path_factory.mktemp("elsewhere")

    def installed(*command):
        path = f"{site / 'bin'}{os.pathsep}{os.environ['PATH']}"
        return run(*command, cwd=elsewhere, PYTHONPATH=str(site), PATH=path)

    assert installed(sys.executable, "-c", "import spp_keras; print(spp_keras.__file__)") == (
        f"{site / 'spp_keras' / '__init__.py'}\n"
    )
    return installed


def test_the_sdist_has_the_checkout_without_what_work_left_in_it(checkout, sdist):
    expected = {f"{name}/{path}" for name in CODE for path in files_below(checkout / name)}
    expected |= {*FILES, *(path.name for path in ROOT.glob("*.md")), "PKG-INFO"}
    assert files_below(sdist) - {".gitignore"} == expected - {*LEFT_BEHIND, ".gitignore"}


def test_the_wheel_has_the_package_and_the_zoo_and_nothing_else(sdist, wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    package = {f"spp_keras/{path}" for path in files_below(sdist / "spp_keras")}
    zoo = {f"spp_keras/zoo/entries/{path}" for path in files_below(sdist / "zoo")}
    assert names == package | zoo
    assert {
        "spp_keras/py.typed",
        "spp_keras/serving/some_page.html",
        "spp_keras/data/shapes/README.md",
        "spp_keras/zoo/entries/zf5_spp/shapes.toml",
        "spp_keras/zoo/entries/zf5_spp/shapes.weights.h5",
        "spp_keras/zoo/entries/zf5_spp/card.md",
    } < names


def test_the_wheel_says_what_it_is_and_needs(wheel):
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith("/METADATA"))
        said = email.message_from_bytes(archive.read(name))
    needs = [one for one in said.get_all("Requires-Dist") if "extra ==" not in one]
    assert len(needs) == len(project["dependencies"])
    assert said["Version"] == spp_keras.__version__
    assert set(said.get_all("Provides-Extra")) == set(project["optional-dependencies"])


def test_the_installed_command_finds_what_it_needs(installed):
    assert installed("spp-keras", "--version") == f"spp-keras {spp_keras.__version__}\n"
    listed = installed("spp-keras", "zoo").splitlines()
    assert len(listed) == 12
    names = "from spp_keras import recipes; print(*recipes.list_recipes())"
    assert "zf5_spp/shapes" in installed(sys.executable, "-c", names)


@pytest.fixture(scope="module")
def plain(wheel, tmp_path_factory):
    """What `plain_install.py` finds where the wheel and what it requires are all that there is."""
    folder = tmp_path_factory.mktemp("plain")
    run(sys.executable, "-m", "venv", str(folder / "venv"), cwd=folder)
    python = str(folder / "venv" / "bin" / "python")
    # TensorFlow is 2 GB.
    run(python, "-m", "pip", "install", "-q", str(wheel), cwd=folder, timeout=900, PYTHONPATH="")
    script = str(ROOT / "tests" / "plain_install.py")
    printed = run(python, script, str(folder), cwd=folder, PYTHONPATH="")
    yield json.loads(printed.splitlines()[-1])
    shutil.rmtree(folder / "venv")


MISSING = {
    "data set by name": ("tensorflow_datasets", "tensorflow-datasets"),
    "training": ("tensorboard", "tensorboard"),
    "TFLite": ("ai_edge_litert", "ai-edge-litert"),
}


# One test, so that one worker installs all of it.
def test_a_plain_install_is_small_uses_every_network_and_says_what_installs_the_rest(plain):
    assert "spp_keras" in plain["packages"]
    assert plain["megabytes"] < 100, plain["packages"]
    for feature, (package, requirement) in MISSING.items():
        message = plain[feature]
        assert f"needs the package `{package}`. Install it with: " in message
        assert "/venv/bin/python -m pip install " in message
        assert f"'{requirement}>=" in message


def test_the_citation_has_what_its_format_asks_for():
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert cited["cff-version"] == "1.2.0"
    assert {"message", "title", "authors"} < set(cited)
    assert cited["type"] in ("software", "dataset")
    assert all(set(author) == {"name"} for author in cited["authors"])
    assert str(cited["version"]) == spp_keras.__version__
    assert f"## {cited['version']}" in (ROOT / "CHANGELOG.md").read_text()
    assert str(cited["date-released"]) in (ROOT / "CHANGELOG.md").read_text()
    (paper,) = cited["references"]
    assert {"type", "title", "authors"} < set(paper)
    assert all(set(author) == {"family-names", "given-names"} for author in paper["authors"])
    assert "1406.4729" in paper["url"]
