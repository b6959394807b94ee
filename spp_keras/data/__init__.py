"""Images of any size, from where they lie to the batches that networks train on."""

from spp_keras.data.pipeline import Pipeline as Pipeline
from spp_keras.data.records import Records as Records
from spp_keras.data.records import load as load
from spp_keras.data.sizes import Crops as Crops
from spp_keras.data.sizes import Warped as Warped
from spp_keras.data.sizes import Whole as Whole
