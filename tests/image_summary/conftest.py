import pytest
from summary_photos import make_photos

from spp_keras import image_summary


@pytest.fixture(scope="package")
def photos(tmp_path_factory):
    return make_photos(tmp_path_factory.mktemp("photos"))


@pytest.fixture(scope="package")
def summary(photos):
    return image_summary.summarize_images(photos, estimate=False, progress=False)
