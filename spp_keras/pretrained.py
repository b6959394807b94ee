"""Run folders of the networks that come with weights: what a run does, they do."""

import dataclasses
from pathlib import Path
from typing import Any

from spp_keras import _cache, _files, recipes, run_folder
from spp_keras.run_folder import RunFolder
from spp_keras.zoo import imagenet, networks, registry, shipped_weights, weight_packages

# Part of the folder's name: another number when the files mean something else.
_FORMAT = 1


def list_pretrained() -> list[str]:
    """Names of trained networks, each of which stands for a run folder.

    Networks with weights trained on ImageNet have their own name. Where weights come with this
    package, the name is that of the recipe that they were trained by.

    Example:

    >>> list_pretrained()[2:4]
    ['efficientnet_lite2', 'zf5_spp/shapes']
    """
    shipped = [
        f"{network}/{weights}"
        for network in registry.list_models()
        for weights in shipped_weights.list_shipped_weights(network)
    ]
    return [*weight_packages.PACKAGES, *shipped]


def find_run(path: Any) -> Path:
    """The run folder of a path, or of a trained network that is given by its name.

    A network's folder is made in the cache when it is first asked for.

    Args:
        path: Path of a run folder; or a name of `list_pretrained()`, where there is no file or
            folder of that name.

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
    if Path(path).exists():
        return Path(path)
    names = list_pretrained()
    if name not in names:
        if name not in networks.list_networks():
            return Path(path)
        raise ValueError(
            f"`run` must be a run folder, or a trained network, of {', '.join(names)}; {name} is "
            "a network without trained weights: train it by `spp_keras.train` and give the run "
            f"folder. Received: run={name!r}."
        )
    if name in weight_packages.PACKAGES:
        recipe, checksum = _make_imagenet_recipe(name), weight_packages.PACKAGES[name].sha256
        labels = imagenet.list_labels()
    else:
        recipe = recipes.read_recipe(name, task="classification")
        weights = shipped_weights.resolve_weights(*name.split("/"))
        checksum, labels = _cache.digest_file(weights), shipped_weights.read_labels(weights)
        recipe = dataclasses.replace(recipe, weights=Path(name).name)
    key = _cache.make_key(recipe, checksum, _FORMAT)
    folder = _cache.user_folder("pretrained") / key / name.replace("/", "-")
    if not RunFolder(folder).exists:
        _make_run(recipe, labels, folder)
    return folder


def is_in_cache(run: Path) -> bool:
    """Whether a run folder is one of `find_run`'s own, beside which nothing should be written.

    Example:

    >>> is_in_cache(Path("runs/zf5_spp"))
    False
    """
    return run.is_relative_to(_cache.user_folder("pretrained"))


def _make_imagenet_recipe(name: str) -> recipes.Recipe:
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


def _make_run(recipe: recipes.Recipe, labels: tuple[str, ...], folder: Path) -> None:
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
