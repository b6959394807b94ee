"""Runs: train, load, evaluate and predict, each in one call."""

import json
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spp_keras import pretrained, recipes, run_folder
from spp_keras.run_folder import RunFolder

if TYPE_CHECKING:
    import keras

    from spp_keras.serving import ImageLike


class Run(RunFolder):
    """A run folder with what can be done with it.

    Args:
        path: Path of the folder.

    Attributes:
        model: The trained model, a `keras.Model`; loaded on first use.
        labels: Names of the classes.
        recipe: The `Recipe` or `DetectorRecipe` of the training.
        history: The numbers of each epoch.
        metrics: Of a detector, the metrics on its validation images.
        size_policy: How images are sized for prediction.
    """

    def __init__(self, path: "str | os.PathLike[str]"):
        super().__init__(path)
        self._predictors: dict[Any, Any] = {}

    @property
    def history(self) -> list[dict[str, float]]:
        """The numbers of each epoch."""
        from spp_keras.training.history_file import read_history

        return read_history(self.path)

    @property
    def metrics(self) -> dict[str, Any]:
        """The metrics of a detector on its validation images."""
        text = (self / run_folder.DETECTION_METRICS).read_text(encoding="utf-8")
        metrics: dict[str, Any] = json.loads(text)
        return metrics

    def evaluate(self, protocol: str | Sequence[str] = "full", **options: Any) -> dict[str, Any]:
        """Evaluates the classifier by testing protocols of the paper.

        Args:
            protocol: One protocol or several, see `spp_keras.evaluation.PROTOCOLS`.
            **options: See `spp_keras.evaluate`.

        Returns:
            The results, see `spp_keras.evaluate`.
        """
        from spp_keras import evaluation

        return evaluation.evaluate(self.path, protocol, **options)

    def predict(self, image: "ImageLike", **options: Any) -> Any:
        """Classifies an image, or finds the objects in it if this is a detector.

        The model is loaded once; `spp_keras.load_predictor` and
        `spp_keras.load_detector` give the function itself.

        Args:
            image: A path, the bytes of a file, a PIL image or a uint8 array.
            **options: See `spp_keras.load_predictor` and `spp_keras.load_detector`.

        Returns:
            A `Prediction`, or the `Detections` of a detector.
        """
        key = tuple(sorted(options.items()))
        if key not in self._predictors:
            from spp_keras import serving

            load = serving.load_detector if self.is_detector else serving.load_predictor
            self._predictors[key] = load(self.path, **options)
        return self._predictors[key](image)


def load_run(path: str | Path) -> Run:
    """Loads a run folder; its model is loaded on first use.

    Args:
        path: Path of the folder; or the name of a network with weights, such as
            `"efficientnet_lite0"`, see `spp_keras.list_models`.

    Returns:
        A `Run`.
    """
    run = Run(pretrained.find_run(path))
    if not run.is_detector:
        run.check_is_trained()
    return run


def train(
    recipe: "str | Path | recipes.Recipe",
    output: str | Path | None = None,
    *,
    devices: int | None = None,
    callbacks: "Sequence[keras.callbacks.Callback]" = (),
    **overrides: Any,
) -> Run:
    """Trains a network by a recipe, or resumes a training that was killed.

    Args:
        recipe: A `Recipe`, the path of a TOML file or a name from
            `spp_keras.recipes.list_recipes()`.
        output: The run folder. Defaults to `runs/RECIPE-DATA`.
        devices: Number of GPUs, or of parts of the CPU. Defaults to `None`, every
            GPU there is.
        callbacks: More Keras callbacks.
        **overrides: Other values for keys of the recipe, such as `epochs=3`.

    Returns:
        The `Run`, whose `model` has the best weights.
    """
    name = "run"
    if not isinstance(recipe, recipes.Recipe):
        name, path = name_recipe(recipe), recipe
        recipe = recipes.read_recipe(path, task="classification", **overrides)
    elif overrides:
        raise ValueError(
            "A `Recipe` takes no overrides: use `dataclasses.replace`. "
            f"Received: {', '.join(overrides)}."
        )
    output = output or Path("runs") / f"{name}-{name_data(recipe.data)}"

    from spp_keras import training

    training.train_model(recipe, output, devices=devices, callbacks=callbacks)
    return Run(output)


def train_detector(
    run: str | Path | RunFolder,
    output: str | Path | None = None,
    *,
    recipe: str | Path | None = None,
    feature_cache: str | Path | None = None,
    progress: bool = True,
    **overrides: Any,
) -> Run:
    """Trains a detector on the convolutions of a trained classifier, or resumes.

    Args:
        run: The classifier's run, its folder, or the name of a network with weights.
        output: The detector's run folder. Defaults to the classifier's with
            `-detector` behind its name; for a network with weights, in `runs`.
        recipe: Path of a TOML file or name of a recipe for detectors. Defaults to
            `None`, the defaults of `DetectorRecipe`.
        feature_cache: Folder for the feature maps, which several trainings may share.
            Defaults to `None`, `maps` in `output`.
        progress: Whether to show progress bars. Defaults to `True`.
        **overrides: Other values for keys of the recipe, such as `data="VOCdevkit"`.

    Returns:
        The `Run`, whose `model` is a `spp_keras.detection.Detector`.
    """
    folder = run.path if isinstance(run, RunFolder) else pretrained.find_run(run)
    overrides["run"] = str(folder)
    detector_recipe = (
        recipes.DetectorRecipe(**overrides)
        if recipe is None
        else recipes.read_recipe(recipe, task="detection", **overrides)
    )
    beside = Path("runs") / folder.name if pretrained.is_in_cache(folder) else folder
    output = output or beside.with_name(f"{folder.name}-detector")

    from spp_keras import detection

    detection.train_detector(
        detector_recipe, output, feature_cache=feature_cache, progress=progress
    )
    return Run(output)


def name_recipe(recipe: str | Path) -> str:
    """A name for a recipe from its path.

    Example:

    >>> [name_recipe(path) for path in ("zoo/zf5_spp/recipe.toml", "zf5_spp/shapes", "my.toml")]
    ['zf5_spp', 'zf5_spp', 'my']
    """
    path = Path(recipe).with_suffix("")
    is_of_zoo = path.name == "recipe" or str(recipe) in recipes.list_recipes()
    return (path.parent.name or path.name) if is_of_zoo else path.name


def name_data(data: str) -> str:
    """A name for data from the path of a folder or the name of a data set.

    Example:

    >>> name_data("voc/2007")
    'voc-2007'
    """
    return Path(data).name if Path(data).is_dir() else re.sub(r"\W+", "-", data)
