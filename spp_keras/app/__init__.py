"""A local web app to try a model: whole image beside warped, boxes, detections.

One HTML file and Python's own server, without further packages.
"""

from spp_keras.app.security import is_loopback as is_loopback
from spp_keras.app.server import MAX_BYTES as MAX_BYTES
from spp_keras.app.server import Server as Server
from spp_keras.app.session import Session as Session
from spp_keras.app.session import load_session as load_session
