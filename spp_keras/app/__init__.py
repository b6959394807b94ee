"""A local page to try a model: whole beside warped, windows of the same map, detections.

One HTML file and Python's own server: Gradio would bring a hundred megabytes of
packages to draw a drop zone.
"""

from spp_keras.app.security import is_loopback as is_loopback
from spp_keras.app.server import MAX_BYTES as MAX_BYTES
from spp_keras.app.server import Server as Server
from spp_keras.app.session import Session as Session
from spp_keras.app.session import load_session as load_session
