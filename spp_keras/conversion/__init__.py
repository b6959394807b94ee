"""Any Keras CNN for images of any size: `any_size`, and rules for layers of your own."""

from spp_keras.conversion.cellwise_rules import convert_cellwise as convert_cellwise
from spp_keras.conversion.graph_builder import FeatureMap as FeatureMap
from spp_keras.conversion.graph_builder import GraphBuilder as GraphBuilder
from spp_keras.conversion.per_image_rules import convert_per_image_noise as convert_per_image_noise
from spp_keras.conversion.rule_table import register_rule as register_rule
from spp_keras.conversion.transformation import any_size as any_size
