"""Packing: images of a batch laid close to each other on canvases, in TensorFlow operations."""

from spp_keras.packing.drawing import draw_canvases as draw_canvases
from spp_keras.packing.layouts import CanvasLayout as CanvasLayout
from spp_keras.packing.layouts import plan_canvases as plan_canvases
from spp_keras.packing.layouts import separate_images as separate_images
