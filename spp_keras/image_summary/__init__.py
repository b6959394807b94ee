"""What a folder of images looks like to a network, before anything is trained."""

from typing import TYPE_CHECKING

from spp_keras import _lazy_names

if TYPE_CHECKING:
    from spp_keras.image_summary.summary import ImageSummary as ImageSummary
    from spp_keras.image_summary.summary import summarize_images as summarize_images

_HOMES = dict.fromkeys(("ImageSummary", "summarize_images"), "spp_keras.image_summary.summary")
__all__ = list(_HOMES)
__getattr__, __dir__ = _lazy_names.make_lazy(__name__, _HOMES)
