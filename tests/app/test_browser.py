"""The page in a real browser: Debian's Chromium, driven by Playwright."""

import contextlib
import shutil

import exif_files
import numpy as np
import pytest
from image_files import IMAGE, RGB
from oracles import window_of_box, window_pyramid
from photographs import decoded, encoded, photograph
from small_runs import LABELS

from spp_keras.zoo import model_parts

pytestmark = pytest.mark.integration

CHROMIUM = shutil.which("chromium")
needs_chromium = pytest.mark.skipif(
    CHROMIUM is None, reason="there is no `chromium` to try the page in: apt-get install chromium"
)
LONG = encoded(photograph(40, 1000))
EDGES = ("left", "top", "right", "bottom")
TIMES = "\N{MULTIPLICATION SIGN}"
CMYK = encoded(IMAGE.convert("CMYK"), "JPEG", quality=95)


@pytest.fixture(scope="module")
def chromium():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        # As root, where tests often run, Chromium has no sandbox.
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def opened(chromium, served, request):
    """The page, which must not complain or ask for anything from elsewhere."""
    with open_page(chromium, served.server.url, *getattr(request, "param", (1200, 900))) as page:
        yield page


@contextlib.contextmanager
def open_page(chromium, url, width, height):
    page = chromium.new_page(viewport={"width": width, "height": height})
    errors, asked = [], []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    page.goto(url)
    page.get_by_text("3 classes").wait_for()
    yield page
    page.close()
    assert errors == []
    assert [one for one in asked if not one.startswith((url, f"blob:{url}", "data:"))] == []


def upload(page, *files):
    """Gives files to the page and waits until each has its picture or its error."""
    before = page.locator("#strip li, #failures li").count()
    page.set_input_files(
        "#files", [{"name": name, "mimeType": "", "buffer": file} for name, file in files]
    )
    page.locator("#strip li, #failures li").nth(before + len(files) - 1).wait_for()


def scores(page, card):
    """Names and scores that a card shows."""
    lines = page.locator(f"{card} .scores .line").all()
    return {
        line.locator("span").first.inner_text(): float(line.inner_text().split()[-1])
        for line in lines
    }


def drag(page, start, end):
    """From one place to another, given as shares of the photograph."""
    frame = page.locator("#frame").bounding_box()
    places = [
        (frame["x"] + x * frame["width"], frame["y"] + y * frame["height"]) for x, y in (start, end)
    ]
    page.mouse.move(*places[0])
    page.mouse.down()
    page.mouse.move(*places[1], steps=5)
    page.mouse.up()


def check(found, expected):
    np.testing.assert_allclose([found[label] for label in LABELS], expected, atol=6e-4)


@needs_chromium
@pytest.mark.parametrize("opened", [(1200, 900), (390, 844)], ids=["wide", "phone"], indirect=True)
def test_photographs_are_answered_a_window_is_dragged_and_a_bad_file_is_named(opened, served):
    upload(opened, ("long.png", LONG), ("notes.txt", b"Not found"), ("print.jpg", CMYK))
    failure = opened.locator("#failures li")
    assert failure.count() == 1
    assert failure.inner_text().startswith(
        "notes.txt: The file is no JPEG, PNG, GIF, BMP or WebP image: convert it to JPEG."
    )
    pixels = decoded(CMYK)[np.newaxis].astype("float32")
    np.testing.assert_allclose(
        [scores(opened, "#whole")[label] for label in LABELS],
        np.asarray(served.model(pixels))[0],
        # Pillow's way from CMYK to RGB is not TensorFlow's.
        atol=0.05,
    )
    opened.get_by_role("button", name="long.png").click()
    assert (
        opened.locator("#facts")
        .inner_text()
        .startswith(f"1000 {TIMES} 40 pixels, scaled to 725 {TIMES} 29")
    )
    assert len(scores(opened, "#warped")) == 3
    assert opened.locator("#picture").evaluate("image => image.naturalWidth") == 1000
    # From above the strip to below it, as one does with so low a photograph.
    drag(opened, (0.2, -0.3), (0.6, 1.4))
    opened.locator("#boxed .scores li").first.wait_for()
    edges = [int(opened.locator(f"#edges [name={edge}]").input_value()) for edge in EDGES]
    assert edges[1::2] == [0, 40]
    assert abs(edges[0] - 200) <= 4
    assert abs(edges[2] - 600) <= 4
    opened.get_by_text(f"{edges[2] - edges[0]} {TIMES} 40 pixels").wait_for()
    check(scores(opened, "#boxed"), window_by_hand(served, edges))
    assert "cells of the same feature map" in opened.locator("#boxed p").inner_text()
    # Nothing is wider than the screen.
    assert opened.evaluate("document.documentElement.scrollWidth <= innerWidth")


def window_by_hand(served, edges):
    """Scores of a window of the long photograph, by plain bins over its feature map."""
    image_id = served.server.session.predict(LONG)["id"]
    feature_map = served.server.session.get_result(image_id).feature_maps[0].numpy()[0]
    x, y = 725 / 1000, 29 / 40
    box = np.array(edges) * (x, y, x, y)
    cells = window_of_box(box, 16, 14, *feature_map.shape[:2])
    vector = window_pyramid(feature_map, cells, (2, 1), "max")[np.newaxis]
    for layer in model_parts.split_model(served.model).top:
        vector = layer(vector)
    return np.asarray(vector)[0]


@needs_chromium
def test_the_window_follows_the_keys_and_what_is_typed(opened):
    upload(opened, ("photo.png", encoded(photograph(80, 120))))
    opened.locator("#stage").focus()
    opened.keyboard.press("ArrowRight")
    opened.keyboard.press("ArrowRight")
    opened.keyboard.press("Shift+ArrowDown")
    opened.get_by_text(f"60 {TIMES} 42 pixels").wait_for()
    values = [opened.locator(f"#edges [name={edge}]").input_value() for edge in EDGES]
    assert values == ["33", "20", "93", "62"]
    opened.locator("#edges [name=right]").fill("103")
    opened.get_by_text(f"70 {TIMES} 42 pixels").wait_for()
    opened.locator("#edges [name=right]").fill("20")
    opened.get_by_text("A box must have an area").wait_for()
    opened.get_by_role("button", name="No box").click()
    opened.get_by_text("Drag one over the image").wait_for()
    assert not opened.locator("#box").is_visible()


@needs_chromium
def test_a_photograph_that_is_not_kept_any_more_is_sent_again(opened, served):
    upload(opened, ("photo.png", encoded(photograph(80, 120))))
    served.server.session.clear()
    drag(opened, (0.1, 0.1), (0.9, 0.9))
    opened.locator("#boxed .scores li").first.wait_for()
    assert len(scores(opened, "#boxed")) == 3


@needs_chromium
def test_a_turned_photograph_is_drawn_upright_as_the_network_sees_it(opened):
    upload(opened, ("turned.jpg", exif_files.file(RGB, "JPEG", 6)))
    opened.get_by_text(f"64 {TIMES} 48 pixels").wait_for()
    frame = opened.locator("#picture").bounding_box()
    assert frame["width"] / frame["height"] == pytest.approx(64 / 48, rel=0.01)
    shot = decoded(opened.locator("#picture").screenshot()).astype(int)
    ours = np.asarray(IMAGE.resize(shot.shape[1::-1])).astype(int)
    assert np.abs(shot - ours).mean() < 12
    assert np.abs(shot[:, ::-1] - ours).mean() > 30


@needs_chromium
def test_too_large_a_file_is_not_sent_and_a_server_that_is_gone_is_named(opened):
    upload(opened, ("large.png", 300_001 * b"x"))
    opened.get_by_text("The file has more than 0.3 MB").wait_for()
    opened.route("**/image", lambda route: route.abort())
    upload(opened, ("photo.png", encoded(photograph(80, 120))))
    opened.get_by_text("Is `spp-keras app` still running").wait_for()


@needs_chromium
def test_what_a_detector_finds_is_drawn_and_its_score_threshold_can_be_moved(
    chromium, served_detector
):
    file = encoded(photograph(100, 151))
    found = served_detector.model.detect(decoded(file))
    found = {
        name: value.numpy()[: int(found["count"])]
        for name, value in found.items()
        if name != "count"
    }
    with open_page(chromium, served_detector.server.url, 1200, 900) as page:
        upload(page, ("photo.png", file))
        for least in (0.5, 0.3):
            page.locator("#slider").fill(str(least))
            kept = found["scores"] >= least
            assert kept.sum() > 0
            assert (
                page.locator("#listed li").count()
                == page.locator("#detections div").count()
                == kept.sum()
            )
        # The best is drawn last, on top.
        left, top, right, bottom = found["boxes"][0]
        frame, box = (
            page.locator(which).bounding_box() for which in ("#frame", "#detections div >> nth=-1")
        )
        zoom = frame["width"] / 151
        edges = [box["x"] - frame["x"], box["y"] - frame["y"], box["width"], box["height"]]
        np.testing.assert_allclose(
            edges, np.array([left, top, right - left, bottom - top]) * zoom, atol=1.5
        )
        drag(page, (0.1, 0.1), (0.9, 0.9))
        page.locator("#boxed .scores li").first.wait_for()
        assert not page.locator("#whole").is_visible()
