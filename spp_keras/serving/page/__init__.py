"""A local page to try a model: whole beside warped, windows of the same map, detections.

One HTML file and Python's own server: Gradio would bring a hundred megabytes of
packages to draw a drop zone.
"""

from spp_keras.serving.page.answers import Answers as Answers
from spp_keras.serving.page.answers import load as load
from spp_keras.serving.page.guards import is_loopback as is_loopback
from spp_keras.serving.page.server import MOST_BYTES as MOST_BYTES
from spp_keras.serving.page.server import Server as Server
