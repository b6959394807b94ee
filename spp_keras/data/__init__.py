"""Data sets of images of any size: records, size policies and the input pipeline."""

from spp_keras.data.pipeline import Pipeline as Pipeline
from spp_keras.data.records import Records as Records
from spp_keras.data.records import load_records as load_records
from spp_keras.data.size_policies import Crop as Crop
from spp_keras.data.size_policies import Warp as Warp
from spp_keras.data.size_policies import Whole as Whole
