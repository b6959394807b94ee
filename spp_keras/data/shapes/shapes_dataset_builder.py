"""The dataset `shapes` for TensorFlow Datasets, drawn on the spot."""

import dataclasses
import io
from collections.abc import Iterator
from typing import Any, ClassVar

import numpy as np
import tensorflow_datasets as tfds

from spp_keras import _checks
from spp_keras.data.shapes import drawing, outlines

_SPLITS = ("train", "validation", "test")


@dataclasses.dataclass(eq=False)
class ShapesConfig(tfds.core.BuilderConfig):
    """How many images to draw, and from which seed.

    For numbers or a seed of your own. Give every such config a name of its own:
    the prepared files lie under that name.

    Args:
        name: String, the name of the config.
        train: Int, the number of images to train on. Defaults to `3000`.
        validation: Int, the number of images to validate on. Defaults to `600`.
        test: Int, the number of images to test on. Defaults to `600`.
        seed: Int, 0 or more: another seed draws other images. Defaults to `0`.

    Example:

    >>> import tensorflow_datasets as tfds
    >>> from spp_keras.data import shapes
    >>> config = shapes.ShapesConfig("of_my_own", train=24, validation=12, test=12, seed=7)
    >>> tfds.builder("shapes", config=config).info.full_name
    'shapes/of_my_own/1.0.0'
    """

    train: int = 3000
    validation: int = 600
    test: int = 600
    seed: int = 0

    def __post_init__(self) -> None:
        for split in _SPLITS:
            _checks.at_least(getattr(self, split), 1, split)
        _checks.at_least(self.seed, 0, "seed")


class Builder(tfds.core.GeneratorBasedBuilder):
    """Textured objects on cluttered ground, in images of very different sizes.

    Registered with TensorFlow Datasets by the import of `spp_keras.data.shapes`.
    What is in it, and why, is in the dataset card, `README.md` beside this file.

    Example:

    >>> import tensorflow_datasets as tfds
    >>> from spp_keras.data import shapes
    >>> builder = tfds.builder("shapes/tiny")
    >>> builder.info.features["label"].names[:4]
    ['circle', 'ellipse', 'square', 'oblong']

    `tfds.load("shapes/tiny", split="train")` draws the images on the first call.
    """

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES: ClassVar = {"1.0.0": "First release."}
    BUILDER_CONFIGS: ClassVar = [
        ShapesConfig("small", description="3,000 images to train on: the first try."),
        ShapesConfig(
            "tiny", train=240, validation=84, test=84, description="240 images: for tests."
        ),
        ShapesConfig(
            "large",
            train=48_000,
            validation=4_800,
            test=4_800,
            description="48,000 images to train on: for comparing networks.",
        ),
    ]
    DEFAULT_BUILDER_CONFIG_NAME = "small"

    def _info(self) -> tfds.core.DatasetInfo:
        names = list(outlines.CLASSES)
        return self.dataset_info_from_configs(
            features=tfds.features.FeaturesDict(
                {
                    "image": tfds.features.Image(shape=(None, None, 3), encoding_format="jpeg"),
                    "image/filename": tfds.features.Text(),
                    "label": tfds.features.ClassLabel(names=names),
                    "objects": tfds.features.Sequence(
                        {
                            "bbox": tfds.features.BBoxFeature(),
                            "label": tfds.features.ClassLabel(names=names),
                            "is_truncated": np.bool_,
                            "is_difficult": np.bool_,
                        }
                    ),
                }
            ),
            supervised_keys=("image", "label"),
        )

    def _split_generators(self, dl_manager: tfds.download.DownloadManager) -> dict[str, Any]:
        return {split: self._generate_examples(split) for split in _SPLITS}

    def _generate_examples(self, split: str) -> Iterator[tuple[str, dict[str, Any]]]:
        config = self.builder_config
        for index in range(getattr(config, split)):
            image, scene = drawing.draw_image(config.seed, _SPLITS.index(split), index)
            height, width = scene.size
            objects = []
            for thing in scene.things:
                top, left, bottom, right = thing.box
                objects.append(
                    {
                        "bbox": tfds.features.BBox(
                            top / height, left / width, bottom / height, right / width
                        ),
                        "label": scene.name,
                        "is_truncated": thing.is_truncated,
                        "is_difficult": thing.is_difficult,
                    }
                )
            filename = f"{split}_{index:06d}.jpg"
            yield (
                filename,
                {
                    "image": io.BytesIO(image),
                    "image/filename": filename,
                    "label": scene.name,
                    "objects": objects,
                },
            )
