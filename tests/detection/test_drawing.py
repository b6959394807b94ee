import re

import numpy as np
import pytest
from photographs import photograph
from PIL import Image

from spp_keras.detection import Detections, drawing

NAMES = [f"class {number}" for number in range(200)]


def detect(*rows):
    """From rows of left, top, right, bottom, score and class."""
    rows = np.array(rows, "float32").reshape(-1, 6)
    return Detections(rows[:, :4], rows[:, 4], rows[:, 5].astype("int32"))


def black(height, width):
    return np.zeros((height, width, 3), "uint8")


def changed(image, drawn):
    """Rows and columns of pixels that were drawn."""
    return np.nonzero(np.any(image != drawn, axis=2))


def test_lines_are_on_the_first_and_the_last_pixels_of_a_box():
    image = black(100, 200)
    drawn = drawing.draw_detections(image, detect((40, 30, 160, 90, 0.9, 0)), NAMES, line_width=2)
    color = np.array(drawing.class_color(0))
    for line in (drawn[30:32, 40:160], drawn[88:90, 40:160], drawn[30:90, 40:42]):
        assert (line == color).all()
    assert (drawn[30:90, 158:160] == color).all()
    assert not drawn[32:88, 42:158].any()
    assert not drawn[90:].any()
    assert not drawn[:, 160:].any()
    assert not drawn[:, :40].any()
    assert not image.any()


@pytest.mark.parametrize("line_width", [1, 3])
def test_a_box_of_one_pixel_is_one_pixel(line_width):
    box = detect((20, 30, 21, 31, 0.9, 0))
    drawn = drawing.draw_detections(black(32, 40), box, NAMES, line_width=line_width, font_size=99)
    assert [place.tolist() for place in changed(black(32, 40), drawn)] == [[30], [20]]


def test_the_label_stands_above_its_box_where_there_is_room():
    drawn = drawing.draw_detections(black(100, 200), detect((40, 30, 160, 90, 0.9, 0)), NAMES)
    ground = np.all(drawn[:30] == drawing.class_color(0), axis=2)
    rows, columns = np.nonzero(ground)
    assert (rows.max(), columns.min()) == (29, 40)
    # Letters are black on it.
    box = drawn[rows.min() : 30, 40 : columns.max() + 1]
    assert (box.sum(axis=2) < 120).sum() > 20


@pytest.mark.parametrize(
    "box",
    [(0, 0, 40, 40), (160, 0, 200, 40), (150, 60, 200, 100), (0, 95, 30, 100), (-9, -9, 250, 120)],
    ids=["top left", "top right", "bottom right", "bottom left", "larger than the image"],
)
def test_a_label_at_the_border_is_as_large_as_in_the_middle(box):
    middle = drawing.draw_detections(black(100, 200), detect((70, 50, 71, 51, 0.9, 0)), ["cat"])
    rows, columns = changed(black(100, 200), middle)
    wide, high = np.ptp(columns) + 1, rows.max() - rows.min()
    drawn = drawing.draw_detections(black(100, 200), detect((*box, 0.9, 0)), ["cat"], line_width=1)
    top = box[1] - high if box[1] >= high else max(box[1], 0)
    left = max(0, min(box[0], 200 - wide))
    expected = middle[rows.min() : rows.max(), columns.min() : columns.max() + 1]
    np.testing.assert_array_equal(drawn[top : top + high, left : left + wide], expected)


def test_a_label_with_room_neither_above_nor_below_is_moved_up():
    drawn = drawing.draw_detections(black(20, 200), detect((40, 10, 160, 20, 0.9, 0)), ["cat"])
    lower = drawing.draw_detections(black(60, 200), detect((40, 20, 160, 60, 0.9, 0)), ["cat"])
    np.testing.assert_array_equal(drawn[7:20, 40:80], lower[7:20, 40:80])


@pytest.mark.parametrize("shade", [0, 90, 255])
def test_a_label_looks_the_same_on_any_background(shade):
    def label(value):
        image = np.full((60, 120, 3), value, "uint8")
        return drawing.draw_detections(image, detect((10, 30, 100, 55, 0.9, 0)), ["größe"])[
            18:30, 12:60
        ]

    np.testing.assert_array_equal(label(shade), label(180))


@pytest.mark.parametrize("number", range(21))
def test_the_text_contrasts_with_its_background(number):
    color = drawing.class_color(number)
    light, dark = sorted(
        (luminance(color), luminance(drawing._choose_text_color(color))), reverse=True
    )
    assert (light + 0.05) / (dark + 0.05) > 4.5


def luminance(rgb):
    rgb = np.array(rgb) / 255
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    return linear @ (0.2126, 0.7152, 0.0722)


# Machado, Oliveira and Fernandes (2009), of linear RGB.
SIGHT = {
    "all colors": np.eye(3),
    "no red": [[0.152, 1.053, -0.205], [0.115, 0.786, 0.099], [-0.004, -0.048, 1.052]],
    "no green": [[0.367, 0.861, -0.228], [0.280, 0.673, 0.047], [-0.012, 0.043, 0.969]],
}


@pytest.mark.parametrize("sight", SIGHT)
def test_the_first_colors_differ_for_the_color_blind_too(sight):
    linear = (np.array([drawing.class_color(number) for number in range(7)]) / 255) ** 2.2
    seen = np.clip(linear @ np.array(SIGHT[sight]).T, 0, 1) ** (1 / 2.2) * 255
    apart = np.linalg.norm(seen[:, None] - seen[None], axis=2)
    assert apart[~np.eye(7, dtype=bool)].min() > 40


def test_as_many_colors_as_pascal_voc_has_classes_differ():
    assert len({drawing.class_color(number) for number in range(21)}) == 21


def test_the_best_detection_is_drawn_on_top():
    rows = [(20, 30, 90, 90, 0.9, 0), (20, 30, 90, 90, 0.8, 1), (20, 30, 90, 90, 0.7, 2)]
    expected = drawing.draw_detections(black(100, 120), detect(*rows), ["a", "a", "a"])
    assert tuple(expected[60, 20]) == drawing.class_color(0)
    for order in ([2, 0, 1], [1, 2, 0]):
        drawn = drawing.draw_detections(
            black(100, 120), detect(*(rows[i] for i in order)), ["a"] * 3
        )
        np.testing.assert_array_equal(drawn, expected)


def test_no_line_goes_through_a_label():
    rows = [(20, 40, 110, 90, 0.7, 0), (30, 10, 31, 80, 0.9, 1)]
    drawn = drawing.draw_detections(black(100, 120), detect(*rows), ["a", ""], line_width=1)
    assert tuple(drawn[30, 30]) != drawing.class_color(1)
    assert tuple(drawn[60, 30]) == drawing.class_color(1)


def test_lines_and_letters_grow_with_the_image():
    heights = []
    for factor in (1, 4):
        image = black(300 * factor, 400 * factor)
        box = np.array((100, 100, 300, 250)) * factor
        drawn = drawing.draw_detections(image, detect((*box, 0.9, 0)), ["cat"])
        rows, _ = changed(image, drawn)
        line = np.any(drawn[180 * factor, : 200 * factor] != 0, axis=1).sum()
        heights.append((line, 100 * factor - rows.min()))
    (thin, low), (thick, high) = heights
    assert (thin, thick) == (2, 6)
    assert 3 < high / low < 5


@pytest.mark.parametrize("size", [(1, 1), (1, 50), (40, 1000), (1000, 40), (3, 5)], ids=str)
def test_images_of_any_shape_keep_it(size):
    height, width = size
    image = photograph(height, width)
    drawn = drawing.draw_detections(image, detect((0, 0, width, height, 0.9, 0)), ["猫 größe 🐈"])
    assert (drawn.shape, drawn.dtype) == (image.shape, np.uint8)
    assert tuple(drawn[-1, -1]) == drawing.class_color(0)


def test_without_detections_the_image_stays_as_it_is():
    image = photograph(40, 50)
    np.testing.assert_array_equal(drawing.draw_detections(image, detect(), []), image)


def test_200_classes_are_drawn_each_in_its_color():
    rows = [
        (10 * (i % 20), 20 * (i // 20), 10 * (i % 20) + 5, 20 * (i // 20) + 9, 0.9, i)
        for i in range(200)
    ]
    drawn = drawing.draw_detections(black(200, 200), detect(*rows), [""] * 200, font_size=1)
    for left, top, *_, number in rows:
        assert tuple(drawn[top + 5, left]) == drawing.class_color(number)


def test_letters_beyond_ascii_are_not_the_box_for_what_is_missing():
    def of(name):
        return drawing.draw_detections(black(40, 80), detect((0, 30, 80, 40, 0.9, 0)), [name])

    drawn = [of(name) for name in ("\uffff", "é", "Ж", "ł", "Ω")]
    for i, one in enumerate(drawn):
        assert not any(np.array_equal(one, other) for other in drawn[:i])


def test_a_long_label_is_shortened_and_keeps_its_score():
    def of(name):
        return drawing.draw_detections(black(60, 90), detect((0, 30, 90, 60, 0.87, 0)), [name])

    np.testing.assert_array_equal(of("aeroplane " * 9), of("aeroplane " * 20))
    short, long = of("aeroplane"), of("aeroplane " * 9)
    assert not np.array_equal(short, long)
    assert (long[29, -4:] == drawing.class_color(0)).any()


def test_labels_may_name_the_detected_classes_alone():
    rows = detect((10, 30, 60, 50, 0.9, 7))
    np.testing.assert_array_equal(
        drawing.draw_detections(black(60, 90), rows, {7: "class 7"}),
        drawing.draw_detections(black(60, 90), rows, NAMES),
    )


REFUSED = {
    "floats": (np.zeros((4, 4, 3)), detect(), "`image` must be a uint8 array (height, width, 3)"),
    "gray": (np.zeros((4, 4), "uint8"), detect(), "Received: image of shape (4, 4)"),
    "nothing": (black(0, 4), detect(), "`image` must be a uint8 array"),
    "no name": (black(4, 4), detect((0, 0, 1, 1, 1, 2)), "2 has no name. Received: 2 labels"),
    "a negative class": (black(4, 4), detect((0, 0, 1, 1, 1, -1)), "-1 has no name"),
    "NaN": (black(4, 4), detect((np.nan, 0, 1, 1, 1, 0)), "`detections` must have finite boxes"),
    "fewer scores": (
        black(4, 4),
        detect((0, 0, 1, 1, 1, 0))._replace(scores=np.zeros(2)),
        "Received: boxes (1, 4), scores (2,), classes (1,)",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_draw_detections_refuses_invalid_inputs(case):
    image, detections, message = REFUSED[case]
    with pytest.raises(ValueError, match=re.escape(message)):
        drawing.draw_detections(image, detections, ["cat", "dog"])


def test_a_file_that_is_no_font_is_refused(tmp_path):
    (tmp_path / "font.ttf").write_bytes(b"none")
    with pytest.raises(ValueError, match="`font` must be the file of a TrueType or OpenType font"):
        drawing.draw_detections(black(4, 4), detect(), [], font=tmp_path / "font.ttf")


@pytest.mark.parametrize(
    ("name", "form"), [("a.PNG", "PNG"), ("a.jpg", "JPEG"), ("b.jpeg", "JPEG")]
)
def test_save_drawing_chooses_the_format_by_the_suffix(tmp_path, name, form):
    image, rows = photograph(60, 90), detect((10, 30, 80, 50, 0.9, 0))
    drawing.save_drawing(tmp_path / "new" / name, image, rows, NAMES)
    with Image.open(tmp_path / "new" / name) as saved:
        assert saved.format == form
        off = np.abs(np.asarray(saved, float) - drawing.draw_detections(image, rows, NAMES)).mean()
    assert off < (0.1 if form == "PNG" else 4)
    assert [path.name for path in (tmp_path / "new").iterdir()] == [name]
