import importlib
import importlib.util
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import photographs
import pytest
import small_detectors
import small_runs
from commands import check_command
from PIL import Image

from spp_keras import (
    cli,
    run_folder,
)

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


@pytest.fixture(scope="module")
def workplace(tmp_path_factory):
    """What the documents speak of: photographs, a run, a detector's run."""
    folder = tmp_path_factory.mktemp("documents")
    for number in range(8):
        height, width = [(64, 96), (90, 60), (72, 72), (50, 110)][number % 4]
        file = folder / "photos" / ("cat", "dog")[number % 2] / f"{number}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(photographs.encoded(photographs.photograph(height, width, number)))
    picture = photographs.photograph(120, 160)
    (folder / "photo.jpg").write_bytes(photographs.encoded(picture, "JPEG"))
    small_runs.make_run(folder / "runs" / "zf5_spp-shapes")
    detector = folder / "runs" / "zf5_spp-shapes-detector"
    detector.mkdir()
    small_detectors.detector().save(detector / run_folder.DETECTOR)
    return folder


@pytest.mark.integration
@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_python_in_a_page_runs(page, workplace, tmp_path, monkeypatch):
    shutil.copytree(workplace, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    namespace = {}
    for number, block in enumerate(blocks(page.read_text(), "python"), start=1):
        exec(compile(block, f"{page.name}, Python block {number}", "exec"), namespace)


@pytest.mark.parametrize(
    "line",
    [
        pytest.param(line, id=f"{document.relative_to(ROOT)}: {line}")
        for document in DOCUMENTS
        for line in re.findall(
            r"^(?:.*[|(])?\s*(spp-keras .+)$",
            document.read_text().replace("\\\n", " "),
            re.MULTILINE,
        )
    ],
)
def test_a_command_in_a_document_is_one_that_there_is(line):
    check_command(line)


@pytest.mark.parametrize(
    "document",
    # The changelog names commands of earlier versions.
    [document for document in DOCUMENTS if document.name != "CHANGELOG.md"],
    ids=lambda path: str(path.relative_to(ROOT)),
)
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


@pytest.mark.parametrize("name", ["why", "packed"])
def test_a_picture_is_what_its_command_draws(name, tmp_path):
    drawn = tmp_path / f"{name}.png"
    script(f"docs/draw_{name}.py").main(["--output", str(drawn)])

    assert drawn.stat().st_size < 200_000
    found, expected = (
        np.asarray(Image.open(file).convert("RGB"), "float32")
        for file in (drawn, DOCS / drawn.name)
    )
    assert found.shape == expected.shape
    # Letters and palettes are not the same in every version of what draws them.
    assert np.abs(found - expected).mean() < 4


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
