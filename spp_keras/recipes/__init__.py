"""Recipes: everything that decides a training, as flat TOML files checked before anything loads."""

from spp_keras.recipes.detector_recipe import DetectorRecipe as DetectorRecipe
from spp_keras.recipes.recipe import Recipe as Recipe
from spp_keras.recipes.recipe_files import list_recipes as list_recipes
from spp_keras.recipes.recipe_files import override_keys as override_keys
from spp_keras.recipes.recipe_files import read_card as read_card
from spp_keras.recipes.recipe_files import read_recipe as read_recipe
from spp_keras.recipes.recipe_files import recipe_to_toml as recipe_to_toml
