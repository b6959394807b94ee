"""Requests to exported classifiers, and what Keras answers to them."""

import exif_files
import keras
import numpy as np
from image_files import REFUSAL
from photographs import decoded, encoded, photograph
from PIL import Image

MODELS = ["any_size", "reporting", "one_size", "backbone"]
OF_PIXELS = ["serving_default", "uint8", "features"]
OF_FILES = ["bytes", "bytes_features"]
SIGNATURES = [*OF_PIXELS, *OF_FILES]
LABELS = np.array(["cat", "dog", "größe", "a b", "x", "y", "z"])
REPORT = ["error_codes", "errors"]
OUTPUTS = {
    "any_size": ["fc7", "spp"],
    "reporting": ["fc7", "spp"],
    "one_size": ["fc7", "flatten"],
    "backbone": ["spp", "fc1"],
}
TEXT = b"<html>Not found</html>"


def pixels(name):
    size = (224, 224) if name == "one_size" else (75, 110)
    return np.stack([photograph(*size, seed=seed) for seed in range(2)])


def files(name):
    """Of several sizes and kinds, none of which is resized on the way."""
    sizes = [(256, 256), (256, 301), (300, 256)] if name == "one_size" else [(60, 90), (97, 61)]
    forms = ["PNG", "BMP", "GIF"][: len(sizes)]
    found = [encoded(photograph(*size), form) for size, form in zip(sizes, forms, strict=True)]
    if name == "any_size":
        found += [
            exif_files.file(photograph(70, 100, seed), form, orientation)
            for seed, (form, orientation) in enumerate([("PNG", 6), ("WebP", 7), ("WebP", 1)])
        ]
        found.append(encoded(Image.fromarray(photograph(60, 90, 5)).convert("RGBA"), "WebP"))
    return found


def requests(name):
    images, found = pixels(name), files(name)
    broken = [found[0], TEXT, found[1]]
    return [
        ("serving_default", {"images": images.astype("float32")}),
        ("uint8", {"images": images}),
        ("features", {"images": images.astype("float32")}),
        ("bytes", {"image_bytes": found}),
        ("bytes_features", {"image_bytes": found}),
        ("bytes", {"image_bytes": broken}),
        ("bytes_features", {"image_bytes": broken}),
    ]


def answers_of_keras(name, model, signature, arguments):
    """Scores, or features by layer, of images one by one."""
    images = arguments.get("images")
    if images is None:
        images = [decoded(file) for file in arguments["image_bytes"]]
    if name == "one_size":
        images = [center(image, 224) for image in images]
    if "features" in signature:
        layers = OUTPUTS[name]
        model = keras.Model(model.input, [model.get_layer(layer).output for layer in layers])
    rows = [model(image[np.newaxis].astype("float32")) for image in images]
    if "features" not in signature:
        return np.concatenate(rows)
    return {
        layer: np.concatenate(one)
        for layer, one in zip(layers, zip(*rows, strict=True), strict=True)
    }


def center(image, side):
    top, left = ((length - side) // 2 for length in image.shape[:2])
    return image[top : top + side, left : left + side]


def check_answers(name, model, answers):
    for (signature, arguments), answer in zip(requests(name), answers, strict=True):
        broken = TEXT in arguments.get("image_bytes", ())
        if broken and name != "reporting":
            assert "`image_bytes` 1 is no JPEG, PNG, GIF, BMP or WebP image" in answer
            continue
        assert isinstance(answer, dict), answer
        if broken:
            assert answer["error_codes"].tolist() == [0, 1, 0]
            assert answer["errors"][1].decode() == REFUSAL
            arguments = {"image_bytes": [x for x in arguments["image_bytes"] if x != TEXT]}
            answer = {key: value[[0, 2]] for key, value in answer.items()}
        check_answer(name, model, signature, arguments, answer)


def check_answer(name, model, signature, arguments, answer):
    expected = answers_of_keras(name, model, signature, arguments)
    reported = REPORT if name == "reporting" and signature in OF_FILES else []
    if reported:
        assert not answer["error_codes"].any()
        assert set(answer["errors"]) == {b""}
    if "features" in signature:
        assert sorted(answer) == sorted([*OUTPUTS[name], *reported])
        for layer, values in expected.items():
            close(answer[layer], values)
    elif signature == "bytes":
        assert sorted(answer) == sorted(["scores", "indices", "labels", *reported])
        labels = LABELS[answer["indices"]]
        assert [[x.decode() for x in row] for row in answer["labels"]] == labels.tolist()
        close(answer["scores"], -np.sort(-expected, axis=1)[:, :5])
        close(np.take_along_axis(expected, answer["indices"], axis=1), answer["scores"])
        assert all(len(set(row)) == 5 for row in answer["indices"].tolist())
    else:
        assert sorted(answer) == ["scores"]
        close(answer["scores"], expected)


def close(found, expected):
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5 * np.abs(expected).max())
