"""Run folders of the networks that come with weights: what a run does, they do."""

from pathlib import Path
from typing import Any

from spp_keras import _cache, _files, recipes, run_folder
from spp_keras.run_folder import RunFolder
from spp_keras.zoo import imagenet, networks, weight_packages

# Part of the folder's name: another number when the files mean something else.
_FORMAT = 1


def find_run(path: Any) -> Path:
    """The run folder of a path, or of a network with weights that is given by its name.

    A network's folder is made in the cache when it is first asked for.

    Args:
        path: Path of a run folder; or a name of `spp_keras.list_models(weights="imagenet")`,
            where there is no file or folder of that name.

    Returns:
        The path of the run folder, there or not where it was given as a path.

    Raises:
        ValueError: For a network without trained weights.

    Example:

    >>> find_run("efficientnet_lite0").name
    'efficientnet_lite0'
    >>> find_run("runs/zf5_spp")
    PosixPath('runs/zf5_spp')
    """
    name = str(path)
    if Path(path).exists() or name not in networks.list_networks():
        return Path(path)
    if name not in weight_packages.PACKAGES:
        raise ValueError(
            "`run` must be a run folder, or a network with weights of "
            f"{', '.join(weight_packages.PACKAGES)}; {name} is a network without trained weights: "
            f"train it by `spp_keras.train` and give the run folder. Received: run={name!r}."
        )
    recipe = _make_recipe(name)
    key = _cache.make_key(recipe, weight_packages.PACKAGES[name].sha256, _FORMAT)
    folder = _cache.user_folder("pretrained") / key / name
    if not RunFolder(folder).exists:
        _make_run(recipe, folder)
    return folder


def is_in_cache(run: Path) -> bool:
    """Whether a run folder is one of `find_run`'s own, beside which nothing should be written.

    Example:

    >>> is_in_cache(Path("runs/zf5_spp"))
    False
    """
    return run.is_relative_to(_cache.user_folder("pretrained"))


def _make_recipe(name: str) -> recipes.Recipe:
    package = weight_packages.PACKAGES[name]
    return recipes.Recipe(
        model=name,
        weights="imagenet",
        levels=(1,),
        mode="average",
        data="imagenet2012",
        size_policy="whole",
        short_side=package.short_side,
    )


def _make_run(recipe: recipes.Recipe, folder: Path) -> None:
    labels = imagenet.list_labels()
    model = run_folder.build_model(recipe, len(labels), multi_label=False)
    try:
        with _files.create_folder(folder) as temporary:
            run = RunFolder(temporary)
            model.save_weights(run / run_folder.BEST_WEIGHTS)
            run.write_data_info(multi_label=False, longest_side=None)
            run.write_recipe(recipe, labels)
    except OSError:
        # Another process may have made it at the same time.
        if not RunFolder(folder).exists:
            raise
