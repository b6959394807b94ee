import pytest
from google.protobuf import text_format
from tensorflow_serving.config import model_server_config_pb2

from spp_keras import model_repository


def make(folder, *versions):
    for version in versions:
        (folder / version).mkdir(parents=True)
    return folder


def test_versions_are_numbers_in_order_and_the_latest_is_the_highest(tmp_path):
    model = make(tmp_path / "pets", "9", "10", "2", ".4f.11")
    assert model_repository.list_versions(model) == [2, 9, 10]
    assert model_repository.latest_version(model) == model / "10"


def test_a_model_that_is_not_there_has_no_version(tmp_path):
    assert model_repository.list_versions(tmp_path / "pets") == []
    assert model_repository.latest_version(tmp_path / "pets") is None


def test_the_settings_name_every_model_that_has_a_version(tmp_path):
    for name in ("zf5_spp", "alexnet5_spp"):
        make(tmp_path / name, "1")
    make(tmp_path / "empty")
    make(tmp_path / ".hidden", "1")
    model_repository.write_config(tmp_path)
    server = model_server_config_pb2.ModelServerConfig()
    text_format.Parse((tmp_path / "models.config").read_text(), server)
    found = [(m.name, m.base_path, m.model_platform) for m in server.model_config_list.config]
    assert found == [
        ("alexnet5_spp", "/models/alexnet5_spp", "tensorflow"),
        ("zf5_spp", "/models/zf5_spp", "tensorflow"),
    ]


def test_the_batching_of_an_operator_stays(tmp_path):
    model_repository.write_config(tmp_path)
    assert "max_batch_size { value: 16 }" in (tmp_path / "batching.config").read_text()
    (tmp_path / "batching.config").write_text("max_batch_size { value: 4 }\n")
    model_repository.write_config(tmp_path)
    assert (tmp_path / "batching.config").read_text() == "max_batch_size { value: 4 }\n"


def test_a_new_repository_one_of_ours_and_an_empty_folder_are_fine(tmp_path):
    model_repository.check_model_path(tmp_path / "new" / "pets")
    make(tmp_path / "pets", "1", "2")
    make(tmp_path / "empty")
    model_repository.write_config(tmp_path)
    (tmp_path / "README.md").write_text("")
    for name in ("pets", "empty", "other"):
        model_repository.check_model_path(tmp_path / name)


def test_the_folder_that_one_works_in_can_be_named_from_inside(tmp_path, monkeypatch):
    make(tmp_path / "pets", "1")
    monkeypatch.chdir(tmp_path)
    model_repository.check_model_path("cars")
    (tmp_path / "photo.jpg").write_bytes(b"")
    with pytest.raises(ValueError, match=r"is no repository: it holds 'photo\.jpg'"):
        model_repository.check_model_path("cars")


@pytest.mark.parametrize("name", ["zf5 spp", "zf5:spp", "größe", ".hidden", "a/b\n"])
def test_a_name_that_is_no_part_of_an_address_is_refused(tmp_path, name):
    with pytest.raises(ValueError, match="must end in a name of letters"):
        model_repository.check_model_path(tmp_path / name)


def test_a_version_is_not_for_the_user_to_choose(tmp_path):
    with pytest.raises(ValueError, match="the number of the version is chosen for you"):
        model_repository.check_model_path(tmp_path / "zf5_spp" / "3")


@pytest.mark.parametrize("name", ["zf5.onnx", "zf5.Keras", "zf5-0.25.weights.h5", "zf5.tflite"])
def test_the_name_of_a_file_is_refused_with_what_is_written(tmp_path, name):
    with pytest.raises(ValueError, match=r"saved_models/zf5_spp.*\.tflite.*Received: output="):
        model_repository.check_model_path(tmp_path / name)


@pytest.mark.parametrize("name", ["zf5_spp-0.25", "zf5.1", "zf5.onnx_like", "onnx"])
def test_a_name_may_have_a_dot(tmp_path, name):
    model_repository.check_model_path(tmp_path / name)


def test_a_folder_of_something_else_is_refused_and_said_to_be(tmp_path):
    (tmp_path / "pets" / "cats").mkdir(parents=True)
    with pytest.raises(ValueError, match="holds no versions, but 'cats'"):
        model_repository.check_model_path(tmp_path / "pets")
    with pytest.raises(ValueError, match="is no repository: it holds 'pets', which is no model"):
        model_repository.check_model_path(tmp_path / "cars")


def test_a_file_in_the_place_of_a_model_is_refused(tmp_path):
    (tmp_path / "pets").write_text("")
    with pytest.raises(ValueError, match="`output` must be REPOSITORY/MODEL"):
        model_repository.check_model_path(tmp_path / "pets")
