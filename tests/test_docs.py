import argparse
import doctest
import importlib
import importlib.util
import inspect
import pkgutil
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import photographs
import pytest
import small_detectors
import small_runs
import tensorflow as tf
from PIL import Image

import spp_keras
from spp_keras import (
    cli,
    data,
    detection,
    evaluation,
    export,
    layers,
    report,
    run_folder,
    serving,
    zoo,
)
from spp_keras.zoo import tables

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", *sorted(DOCS.glob("*.md"))]
DOCUMENTS = [
    *sorted(ROOT.glob("*.md")),
    *(
        document
        for folder in ("docs", "zoo", "saved_models", "benchmarks", "examples", "spp_keras")
        for document in sorted((ROOT / folder).rglob("*.md"))
    ),
]
MODULES = [
    "spp_keras",
    *(module.name for module in pkgutil.walk_packages(spp_keras.__path__, "spp_keras.")),
]
PUBLIC_LAYERS = [name for name, value in vars(layers).items() if inspect.isclass(value)]
PUBLIC = {
    layers: PUBLIC_LAYERS,
    zoo: zoo.__all__,
    data: ["Crops", "Pipeline", "Whole", "load"],
    detection: ["Detector", "RegionProposalNetwork", "RegionDetector", "Settings"],
    evaluation: ["Scorer", "format_feature_results", "table"],
    export: ["save", "export_detector", "export_detector_tflite", "export_tflite"],
    serving: ["load", "load_detector", "predict_images"],
    report: ["write"],
}
BUILDERS = [f"{trunk.name}{ending}" for trunk in tables.TRUNKS for ending in ("", "_spp")]


def names_in_examples():
    """What an example may use without importing it."""
    ours = {name: getattr(zoo, name) for name in zoo.__all__}
    ours |= {name: getattr(layers, name) for name in PUBLIC_LAYERS}
    return {"np": np, "keras": keras, "ops": keras.ops, "tf": tf, **ours}


def examples(module_name):
    """Every docstring of a module that has examples, by the name of what it describes."""
    module = importlib.import_module(module_name)
    found = doctest.DocTestFinder().find(module, extraglobs=names_in_examples())
    return {test.name: test for test in found if test.examples}


CASES = [(module, name) for module in MODULES for name in examples(module)]


@pytest.mark.parametrize(("module", "name"), CASES, ids=[name for _, name in CASES])
def test_a_docstring_shows_what_happens(module, name):
    report = []
    results = doctest.DocTestRunner(verbose=False).run(examples(module)[name], out=report.append)
    assert results.attempted > 0
    assert results.failed == 0, "".join(report)


@pytest.mark.parametrize(
    ("part", "name"),
    [(part, name) for part, names in PUBLIC.items() for name in names],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_every_public_name_has_an_example(part, name):
    value = getattr(part, name)
    assert f"{value.__module__}.{name}" in [case for _, case in CASES]


@pytest.mark.parametrize("name", BUILDERS)
def test_a_builder_is_documented_under_its_own_name(name):
    builder = getattr(zoo, name)
    assert builder.__name__ == builder.__qualname__ == name
    assert f">>> model = {name}(" in builder.__doc__
    assert f'Defaults to `"{name}"`' in builder.__doc__
    documented = re.findall(r"^        (\w+): ", builder.__doc__, flags=re.MULTILINE)
    assert documented == list(inspect.signature(builder).parameters)
    # Nothing is left to be filled in.
    assert re.findall(r"\{\w+\}", builder.__doc__) == []


@pytest.fixture(scope="module")
def workplace(tmp_path_factory):
    """What the documents speak of: photographs, a run, a detector's run."""
    folder = tmp_path_factory.mktemp("documents")
    for number in range(8):
        height, width = [(64, 96), (90, 60), (72, 72), (50, 110)][number % 4]
        file = folder / "photographs" / ("cat", "dog")[number % 2] / f"{number}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(photographs.encoded(photographs.photograph(height, width, number)))
    picture = photographs.photograph(120, 160)
    (folder / "photo.jpg").write_bytes(photographs.encoded(picture, "JPEG"))
    small_runs.make_run(folder / "runs" / "zf5_spp-shapes")
    detector = folder / "runs" / "zf5_spp-shapes-detector"
    detector.mkdir()
    small_detectors.detector().save(detector / run_folder.DETECTOR)
    return folder


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_python_in_a_page_runs(page, workplace, tmp_path, monkeypatch):
    shutil.copytree(workplace, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    namespace = {}
    for number, block in enumerate(blocks(page.read_text(), "python"), start=1):
        exec(compile(block, f"{page.name}, Python block {number}", "exec"), namespace)


COMMANDS = [
    pytest.param(line, id=f"{document.relative_to(ROOT)}: {line}")
    for document in DOCUMENTS
    for line in re.findall(
        r"^\s*(spp-keras .+)$", document.read_text().replace("\\\n", " "), re.MULTILINE
    )
]


@pytest.mark.parametrize("line", COMMANDS)
def test_a_command_in_a_document_is_understood(line, monkeypatch):
    parse = argparse.ArgumentParser.parse_args

    def without_running(self, arguments):
        options = parse(self, arguments)
        options.run = lambda options: 0
        return options

    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", without_running)
    # A command within a longer one, in quotes.
    line = line.rstrip("'") if line.count("'") % 2 else line
    assert cli.main(shlex.split(line, comments=True)[1:]) == 0


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_document_names_commands_that_there_are(document):
    text = document.read_text()
    for name in set(re.findall(r"`spp-keras ([a-z][a-z-]*)", text)):
        with pytest.raises(SystemExit) as end:
            cli.main([name, "--help"])
        assert end.value.code == 0, name
    for script in re.findall(r"python3? ((?:benchmarks|docs|examples)/[\w/]+\.py)", text):
        assert (ROOT / script).is_file(), script


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_links_of_a_document_lead_somewhere(document):
    for target in re.findall(r"\]\((?!https?:)([^)\s]+)\)", without_code(document.read_text())):
        path, _, anchor = target.partition("#")
        file = (document.parent / path).resolve() if path else document
        assert file.exists(), target
        assert not anchor or anchor in anchors(file.read_text()), target


def test_pages_show_what_commands_and_result_files_say():
    fill = [sys.executable, ROOT / "benchmarks" / "fill_readme.py", "--check"]
    subprocess.run(fill, check=True, timeout=300)


def test_a_marker_takes_a_file_by_its_titles():
    text = "By a command.\n\nMedians.\n\n**One**\n\n1\n\n**Two, or more**\n\n2\n\n**Three**\n\n3\n"

    found = script("benchmarks/fill_readme.py").part(text, ["Three", "One"])

    assert found == "By a command.\n\nMedians.\n\n**Three**\n\n3\n\n**One**\n\n1"


def test_the_picture_is_what_its_command_draws(tmp_path):
    script("docs/draw_why.py").main(["--to", str(tmp_path / "why.png")])

    assert (tmp_path / "why.png").stat().st_size < 200_000
    found, expected = (
        np.asarray(Image.open(file).convert("RGB"), "float32")
        for file in (tmp_path / "why.png", DOCS / "why.png")
    )
    assert found.shape == expected.shape
    # Letters and palettes are not the same in every version of what draws them.
    assert np.abs(found - expected).mean() < 4


@pytest.mark.slow
def test_docstrings_make_pages_without_a_warning(tmp_path):
    # In a process of its own: it tells packages what their public names are.
    command = [sys.executable, "-W", "error::UserWarning", DOCS / "make_api.py", "--to", tmp_path]
    subprocess.run(command, check=True, timeout=300)

    for part, names in PUBLIC.items():
        page = (tmp_path / f"{part.__name__.replace('.', '/')}.html").read_text()
        assert [name for name in names if f'id="{name}"' not in page] == []
        # As a list, and examples as code.
        assert re.findall(r"<p>(?:Args|Call arguments|Returns):", page) == []
        assert page.count('<span class="gp">&gt;&gt;&gt; </span>') >= len(names)


def script(name):
    spec = importlib.util.spec_from_file_location(Path(name).stem, ROOT / name)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def blocks(text, language):
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def without_code(text):
    return re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)


def anchors(text):
    """What GitHub calls the headings of a text in links."""
    headings = re.findall(r"^#+ (.+)$", without_code(text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
