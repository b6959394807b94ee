"""A run folder: what a training writes and everything else reads."""

import functools
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spp_keras import _files, recipes

if TYPE_CHECKING:
    import keras

    from spp_keras.data.size_policies import SizePolicy

# Names of files and folders in a run folder, spelled here alone.
RECIPE = "recipe.toml"
LABELS = "labels.txt"
DATA_INFO = "data_info.json"
BEST_WEIGHTS = "best.weights.h5"
CHECKPOINT = "checkpoint.npz"
EPOCH_START = "epoch_start.npz"
DETECTOR = "detector.keras"
DETECTION_METRICS = "metrics.json"
EVALUATION = "evaluation"
EVALUATION_RESULTS = "evaluation.json"
SCORE_CACHE = "scores"
FEATURE_CACHE = "features"
SVM_RESULTS = "svm.json"
HISTORY = "history.csv"
CURVES = "curves.png"
SKIPPED = "skipped.csv"
REPORT = "report.html"
TENSORBOARD = "tensorboard"

# Files of 0.1 that later versions write under other names.
_OLD_FILES = ("facts.json", "last.npz", "settings.json")
# Keys that may change when a training is resumed.
_RESUMABLE_KEYS = ("epochs", "checkpoint_minutes")


class RunFolder:
    """The folder of one training, of a classifier or of a detector.

    Making the object reads nothing; each property reads what it needs.

    Args:
        path: Path of the folder.

    Example:

    >>> RunFolder("runs/zf5_spp-shapes").name
    'zf5_spp-shapes'
    """

    def __init__(self, path: "str | os.PathLike[str]"):
        self.path = Path(path)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {str(self.path)!r}>"

    def __fspath__(self) -> str:
        """The path, so that a run can be given wherever a path can."""
        return str(self.path)

    def __truediv__(self, name: str) -> Path:
        """The path of a file in the folder."""
        return self.path / name

    @property
    def name(self) -> str:
        """Name of the folder, without those above it."""
        return self.path.name

    @property
    def exists(self) -> bool:
        """Whether a training has begun here."""
        return (self / RECIPE).is_file()

    @property
    def is_detector(self) -> bool:
        """Whether the folder holds a detector, trained or in training."""
        return (self / DETECTOR).is_file() or isinstance(self.recipe, recipes.DetectorRecipe)

    @functools.cached_property
    def recipe(self) -> Any:
        """The `Recipe` or `DetectorRecipe` of the training."""
        self._check_version()
        self._check_file(RECIPE)
        return recipes.read_recipe(self / RECIPE)

    @functools.cached_property
    def labels(self) -> tuple[str, ...]:
        """Names of the classes."""
        self._check_version()
        self._check_file(LABELS)
        return tuple((self / LABELS).read_text(encoding="utf-8").splitlines())

    @property
    def multi_label(self) -> bool:
        """Whether an image may have any number of classes."""
        return bool(self._data_info["multi_label"])

    @property
    def longest_side(self) -> int | None:
        """Longest side in pixels of the training images, `None` for crops."""
        side: int | None = self._data_info["longest_side"]
        return side

    @property
    def orientation(self) -> str:
        """`"exif"` or `"file"`: how image files are oriented; see `Recipe`."""
        return self.recipe.orientation if self.exists else "exif"

    @property
    def size_policy(self) -> "SizePolicy":
        """How images are sized for prediction."""
        from spp_keras.recipes import size_policies

        return size_policies.make_prediction_policy(self.recipe, self.longest_side)

    @functools.cached_property
    def model(self) -> Any:
        """The trained model, loaded once; see `load_model`."""
        return self.load_model()

    def load_model(self) -> "keras.Model":
        """Loads the trained classifier with its best weights, or the detector.

        Weights are in float32, whatever the precision of the training was.

        Returns:
            A `keras.Model`; of a detector a `spp_keras.detection.Detector`.
        """
        import keras

        if self.is_detector:
            self._check_file(DETECTOR)
            return keras.models.load_model(self / DETECTOR, compile=False)
        self.check_is_trained()
        return build_model(
            self.recipe, len(self.labels), self.multi_label, weights=str(self / BEST_WEIGHTS)
        )

    def check_is_trained(self) -> None:
        """Raises unless this is the folder of a classifier whose first epoch has ended."""
        self._check_version()
        for name in (RECIPE, LABELS, DATA_INFO, BEST_WEIGHTS):
            self._check_file(name)

    def check_can_train(self, recipe: Any) -> None:
        """Raises unless a training by a recipe can begin or be resumed in this folder.

        Args:
            recipe: A `Recipe` or `DetectorRecipe`; it may have other `epochs` than the
                training that is resumed.
        """
        self._check_version()
        if not self.exists:
            # Hidden files are nobody's results, such as one left half written.
            if self.path.exists() and any(
                not path.name.startswith(".") for path in self.path.iterdir()
            ):
                raise ValueError(
                    "`output` must be a new folder, or a run folder to resume; "
                    f"{RECIPE} is missing. Received: output={str(self.path)!r}."
                )
            return
        stored = recipes.read_recipe(self / RECIPE)
        if type(stored) is not type(recipe):
            raise ValueError(
                "`output` must be another folder: it holds a training for "
                f"{stored.task}, this one is for {recipe.task}. "
                f"Received: output={str(self.path)!r}."
            )
        differences = [
            f"{key} = {getattr(stored, key)!r} there, {getattr(recipe, key)!r} now"
            for key in vars(recipe)
            if key not in _RESUMABLE_KEYS and getattr(stored, key) != getattr(recipe, key)
        ]
        if differences:
            raise ValueError(
                "`output` holds a run of another recipe: take another folder, or its recipe, "
                f"{self / RECIPE}. They differ: {'; '.join(differences)}. "
                f"Received: output={str(self.path)!r}."
            )

    def write_recipe(
        self, recipe: Any, labels: tuple[str, ...], reasons: Mapping[str, str] | None = None
    ) -> None:
        """Writes the recipe, with comments on its keys, and the names of the classes."""
        _files.write_file(self / LABELS, "".join(f"{label}\n" for label in labels))
        # Last, since it is by the recipe that a folder counts as a run.
        _files.write_file(self / RECIPE, recipes.recipe_to_toml(recipe, reasons))
        vars(self).pop("recipe", None)

    def write_data_info(self, *, multi_label: bool, longest_side: int | None) -> None:
        """Writes what only the training data tell and prediction needs.

        Args:
            multi_label: Whether an image may have any number of classes.
            longest_side: Longest side in pixels of the training images, `None` for crops.
        """
        info = {"multi_label": multi_label, "longest_side": longest_side}
        _files.write_file(self / DATA_INFO, json.dumps(info) + "\n")

    @property
    def _data_info(self) -> dict[str, Any]:
        self._check_version()
        self._check_file(DATA_INFO)
        info: dict[str, Any] = json.loads((self / DATA_INFO).read_text(encoding="utf-8"))
        return info

    def _check_file(self, name: str) -> None:
        if (self / name).is_file():
            return
        remedies = {
            BEST_WEIGHTS: "train until the first epoch has ended",
            DETECTOR: "run `spp-keras train-detector` to its end",
        }
        remedy = remedies.get(name, "give the folder that `spp-keras train` printed")
        raise ValueError(
            f"`run` must be a run folder; {name} is missing: {remedy}. "
            f"Received: run={str(self.path)!r}."
        )

    def _check_version(self) -> None:
        for name in _OLD_FILES:
            if (self / name).is_file():
                raise ValueError(
                    f"`run` is a run folder of spp_keras 0.1, as its {name} shows: load it with "
                    "spp_keras 0.1.1, or train again. Its best.weights.h5 can still be "
                    "loaded by `weights=` into a network of the same options. "
                    f"Received: run={str(self.path)!r}."
                )


def build_model(
    recipe: recipes.Recipe, classes: int, multi_label: bool, weights: str | None = None
) -> "keras.Model":
    """Builds the network of a recipe.

    Args:
        recipe: The recipe.
        classes: Number of classes.
        multi_label: Whether an image may have any number of classes.
        weights: A `.weights.h5` file. Defaults to `None`, the one that the recipe names.
    """
    from spp_keras.zoo import networks

    return networks.build_classifier(
        recipe.model,
        classes,
        image_size=None if recipe.has_pyramid else recipe.image_sizes[0],
        weights=weights or recipe.weights or None,
        levels=recipe.levels,
        mode=recipe.mode,
        units=recipe.units,
        width=recipe.width,
        dropout=recipe.dropout,
        classifier_activation="sigmoid" if multi_label else "softmax",
        # With trained weights, stored statistics are better than those of small batches.
        train_normalization=not recipe.weights,
    )
