"""A run folder as a training leaves it, without the training."""

from spp_keras import recipes, run_folder
from spp_keras.run_folder import RunFolder

RECIPE = recipes.Recipe(width=0.0625, levels=(2, 1))
LABELS = ("cat", "dog", "red car")


def make_run(folder, recipe=RECIPE, labels=LABELS, *, multi_label=False, longest_side=90):
    """Writes it and returns the network."""
    folder.mkdir(parents=True, exist_ok=True)
    network = run_folder.build_model(recipe, len(labels), multi_label)
    # Scores that differ.
    network.layers[-1].kernel.assign(network.layers[-1].kernel * 100)
    network.save_weights(folder / run_folder.BEST_WEIGHTS)
    RunFolder(folder).write_recipe(recipe, labels)
    RunFolder(folder).write_data_info(multi_label=multi_label, longest_side=longest_side)
    return network
