"""SPP-net in Keras: images of any size in, one vector out.

`spp_keras.layers` holds the pooling layers, `spp_keras.zoo` the networks.
Importing this package alone loads neither TensorFlow nor Keras, and is enough for
`keras.models.load_model` to load its files.
"""

from spp_keras import _registration

__version__ = "0.1.1"

_registration.register()
