import json
import zipfile

import keras
import pytest

from spp_keras import _old_files, _registration, zoo

REMEDY = r"spp_keras 0\.[12].*with spp_keras 0\.(1\.1|2\.0).*save_weights.*or train again"


def test_no_class_is_old_and_new():
    assert not {*_old_files.OLD_CLASSES} & {*_registration.CLASSES}


@pytest.mark.parametrize("name", _old_files.OLD_CLASSES)
def test_a_class_that_is_gone_names_the_version_and_the_remedy(name):
    config = {
        "module": None,
        "class_name": name,
        "config": {"name": "layer", "step": 16, "first_centre": 14.0, "beyond": 0},
        "registered_name": f"spp_keras>{name}",
    }
    version = _old_files.OLD_CLASSES[name].replace(".", r"\.")
    with pytest.raises(ValueError, match=rf"{REMEDY}.*the class '{name}' of {version}"):
        keras.saving.deserialize_keras_object(config)


def test_a_network_saved_by_0_1_names_the_version_and_the_remedy(tmp_path):
    new, old = tmp_path / "new.keras", tmp_path / "old.keras"
    zoo.zf5_spp(3, width=0.02).save(new)
    names = {
        "PadRagged": "MixedSizeImages",
        "min_size": "least_size",
    }
    with zipfile.ZipFile(new) as source, zipfile.ZipFile(old, "w") as target:
        for name in source.namelist():
            content = source.read(name)
            if name == "config.json":
                text = content.decode()
                for now, then in names.items():
                    text = text.replace(f'"{now}"', f'"{then}"').replace(f">{now}", f">{then}")
                assert json.loads(text)["class_name"] == "ImageModel"
                content = text.encode()
            target.writestr(name, content)
    with pytest.raises(ValueError, match=f"{REMEDY}.*'MixedSizeImages'"):
        keras.models.load_model(old)


def test_a_detector_saved_by_0_1_names_the_version_and_the_remedy():
    config = {
        "module": "spp_keras.detection.detector",
        "class_name": "Detector",
        "config": {"name": "detector", "side": 224, "overlap": 0.3, "least_score": 0.05},
        "registered_name": "spp_keras>Detector",
    }
    with pytest.raises(
        ValueError, match=f"{REMEDY}.*A detector has to be trained again.*'Detector'"
    ):
        keras.saving.deserialize_keras_object(config)
