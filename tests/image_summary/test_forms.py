import html.parser
import json
import re

import pytest
from summary_photos import COPIES, DAMAGED

from spp_keras import cli, image_summary

# Names that programs may rely on.
KEYS = [
    *("data", "splits", "images", "classes", "class_skew", "width", "height", "aspect", "shapes"),
    *("bent", "crop_loss", "most_cropped", "turned", "skipped", "converted", "same_pictures"),
    *("too_small", "large", "batches", "training"),
]
VOID = ("meta", "img")


class Page(html.parser.HTMLParser):
    """Checks that elements are closed in their order, and collects them."""

    def __init__(self, text):
        super().__init__()
        self.open, self.found, self.addresses = [], [], []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, name, attributes):
        self.found.append(name)
        self.addresses += [value for key, value in attributes if key in ("href", "src")]
        if name not in VOID:
            self.open.append(name)

    def handle_endtag(self, name):
        assert self.open.pop() == name


def test_json_has_the_documented_keys(summary):
    loaded = json.loads(summary.to_json())
    assert list(loaded) == KEYS
    assert all(f"\n        {key}: " in image_summary.ImageSummary.__doc__ for key in KEYS)
    assert loaded["width"] == summary.width._asdict()
    assert loaded["skipped"][0]["id"] == DAMAGED[0]
    assert loaded["most_cropped"][0]["image"] == "train/cat/wide.jpg"
    assert loaded["training"]["command"] == summary.training.command
    assert loaded["same_pictures"][0]["classes"] == ["cat", "dog"]


def test_text_fits_a_terminal(summary):
    text = summary.to_text()
    command = summary.training.command
    lines = [line for line in text.splitlines() if command not in line and summary.data not in line]
    assert max(map(len, lines)) <= 80
    assert not any(line != line.rstrip() for line in lines)
    assert command in text
    for name in (*DAMAGED, *COPIES):
        assert name in text


def test_the_plot_has_the_widest_image_at_the_right_and_the_tallest_at_the_top(summary):
    lines = summary.to_text().splitlines()
    plot = [line for line in lines if re.match(r"^ *\d* \|", line)]
    assert max(map(len, plot)) == 70
    assert plot[0].split("|")[1].strip()
    assert f"{summary.height.max:.0f}" in plot[0]
    assert f"{summary.height.min:.0f}" in plot[-1]


def test_the_page_needs_nothing_from_elsewhere(summary, tmp_path):
    text = summary.write_html(tmp_path / "sizes.html").read_text()
    page = Page(text)
    assert page.addresses
    assert all(address.startswith("data:image/") for address in page.addresses)
    assert "://" not in re.sub(r"data:image[^\"]*", "", text)
    sizes = {tuple(size) for size in summary.image_set.sizes.tolist()}
    # A dot for each size; the other circles are none.
    assert page.found.count("circle") == len(sizes)
    assert page.found.count("image") == 10
    for name in (*DAMAGED, *COPIES, summary.most_cropped[0].image):
        assert name in text


def test_names_of_files_are_no_markup(tmp_path):
    from photographs import encoded, photograph

    (tmp_path / "<b>&.png").write_bytes(encoded(photograph(40, 50)))
    summary = image_summary.summarize_images(tmp_path, progress=False)
    text = summary.write_html(tmp_path / "sizes.html").read_text()
    assert "<b>" not in text
    assert "&lt;b&gt;&amp;.png" in text


def test_another_ending_is_refused(summary, tmp_path):
    with pytest.raises(ValueError, match=r"`path` must be a file ending in \.html"):
        summary.write_html(tmp_path / "sizes.txt")


def test_the_command_prints_text_or_json_and_writes_the_page(photos, tmp_path, capsys, monkeypatch):
    from spp_keras.training import time_estimate

    monkeypatch.setattr(time_estimate, "estimate_seconds", lambda *args: 400.0)
    page = tmp_path / "sizes.html"
    assert cli.main(["sizes", str(photos), "--html", str(page)]) == 0
    printed = capsys.readouterr().out
    assert "about 7 minutes" in printed
    assert page.is_file()
    assert cli.main(["sizes", str(photos), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["training"]["seconds"] == 400


@pytest.mark.parametrize(
    ("arguments", "message"),
    [(["/nowhere"], "`data` must be an existing"), (["/", "--html", "x.txt"], "--html must be")],
    ids=["folder", "html"],
)
def test_errors_exit_with_2(arguments, message, capsys):
    assert cli.main(["sizes", *arguments]) == 2
    assert message in capsys.readouterr().err
