"""Runs: train, load, evaluate and predict, each in one call."""

import json
import os
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spp_keras import pretrained, recipes, run_folder
from spp_keras.run_folder import RunFolder
from spp_keras.zoo import networks

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
    recipe: "str | Path | recipes.Recipe | None" = None,
    output: str | Path | None = None,
    *,
    devices: int | None = None,
    callbacks: "Sequence[keras.callbacks.Callback]" = (),
    **overrides: Any,
) -> Run:
    """Trains a network by a recipe, or resumes a training that was killed.

    Args:
        recipe: A `Recipe`, the path of a TOML file or a name from
            `spp_keras.recipes.list_recipes()`; or the name of a network, whose recipe is
            chosen by the images of `data`, see `spp_keras.training.choose_recipe`. Defaults to
            `None`, the network is chosen, too.
        output: The run folder. Defaults to `runs/RECIPE-DATA`.
        devices: Number of GPUs, or of parts of the CPU. Defaults to `None`, every
            GPU there is.
        callbacks: More Keras callbacks.
        **overrides: Other values for keys of the recipe, such as `epochs=3`.

    Returns:
        The `Run`, whose `model` has the best weights.
    """
    from spp_keras import training
    from spp_keras.training import recipe_choice

    reasons: dict[str, str] = {}
    if isinstance(recipe, recipes.Recipe):
        if overrides:
            raise ValueError(
                "A `Recipe` takes no overrides: use `dataclasses.replace`. "
                f"Received: {', '.join(overrides)}."
            )
        name, settled = "run", recipe
    elif recipe is None or is_for_choice(recipe):
        check_choice(recipe, overrides)
        # Before TensorFlow is used for anything else.
        devices = training.choose_strategy(devices) or devices
        settled, reasons, warnings = recipe_choice.choose_recipe_for_data(
            None if recipe is None else str(recipe), **overrides
        )
        print(recipe_choice.format_choice(settled, reasons, warnings), file=sys.stderr)
        name = settled.model
    else:
        name = name_recipe(recipe)
        settled = recipes.read_recipe(recipe, task="classification", **overrides)
    output = output or Path("runs") / f"{name}-{name_data(settled.data)}"
    training.train_model(settled, output, devices=devices, callbacks=callbacks, reasons=reasons)
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


def is_for_choice(recipe: Any) -> bool:
    """Whether a recipe is to be chosen: there is none, or the name of a network.

    Example:

    >>> [is_for_choice(recipe) for recipe in (None, "zf5_spp", "zf5_spp/imagenet")]
    [True, True, False]
    """
    if recipe is None:
        return True
    is_name = isinstance(recipe, str | Path) and not Path(recipe).is_file()
    return is_name and str(recipe) in networks.list_networks()


def check_choice(recipe: str | Path | None, overrides: Mapping[str, Any]) -> None:
    """Raises where there is nothing that a recipe could be chosen by.

    Args:
        recipe: Name of a network, or `None`.
        overrides: Keys of the recipe that are given.
    """
    if not overrides.get("data"):
        own = [name for name in recipes.list_recipes() if name.startswith(f"{recipe}/")]
        hint = f", or take a recipe, {' or '.join(own)}" if own else ""
        raise ValueError(
            "`data` must be a folder of images or the name of a data set, by which a recipe is "
            f"chosen: such as `--data photos/`{hint}. Received: data={overrides.get('data', '')!r}."
        )


def name_recipe(recipe: str | Path) -> str:
    """A name for a recipe from its path.

    Example:

    >>> [name_recipe(path) for path in ("zoo/zf5_spp/imagenet.toml", "zf5_spp/shapes", "my.toml")]
    ['zf5_spp', 'zf5_spp', 'my']
    """
    path = Path(recipe).with_suffix("")
    is_of_zoo = "/".join(path.parts[-2:]) in recipes.list_recipes()
    return path.parent.name if is_of_zoo else path.name


def name_data(data: str) -> str:
    """A name for data from the path of a folder or the name of a data set.

    Example:

    >>> name_data("voc/2007")
    'voc-2007'
    """
    return Path(data).name if Path(data).is_dir() else re.sub(r"\W+", "-", data)
