"""A run folder as a training leaves it, without the training."""

from spp_keras import recipes, runs, trained

RECIPE = recipes.Recipe(width=0.0625, levels=(2, 1))
LABELS = ("cat", "dog", "red car")


def make_run(folder, recipe=RECIPE, labels=LABELS, *, multi_label=False, longest_side=90):
    """Writes it and returns the network."""
    folder.mkdir(parents=True, exist_ok=True)
    network = trained.build(recipe, len(labels), multi_label)
    # Scores that differ.
    network.layers[-1].kernel.assign(network.layers[-1].kernel * 100)
    network.save_weights(folder / runs.BEST)
    (folder / runs.RECIPE).write_text(recipes.recipe_to_toml(recipe))
    (folder / runs.LABELS).write_text("".join(f"{label}\n" for label in labels))
    trained.write_facts(folder, multi_label=multi_label, longest_side=longest_side)
    return network
