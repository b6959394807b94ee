"""What 0.1.1 called by other names: tables from the names of now to those of 0.1.1."""

# Path of a weight, "layer/variable".
RENAMED = {}
# Keys and values of recipes, and the keys that 0.1.1 did not have.
RENAMED_KEYS = {
    "size_policy": "sizes",
    "crop": "crops",
    "color_jitter": "colour",
    "num_lr_drops": "drops",
    "max_skipped_fraction": "most_skipped",
    "max_pixels": "batch_pixels",
}
RENAMED_VALUES = {"center": "centre"}
ADDED_KEYS = (
    "task",
    "mode",
    "units",
    "top_epochs",
    "trunk_multiplier",
    "early_stopping",
    "class_weight",
    "background",
)
# Recipes that 0.1.1 did not have.
ADDED_RECIPES = (
    "efficientnet_lite0/fine_tuning",
    "zf5_spp/shapes_cropped",
    "zf5_spp/shapes_warped",
)
# Recipes that train to the end since 0.3, with an eighth of the filters.
CHANGED_RECIPES = ("zf5_spp/shapes",)
