import pytest

from spp_keras import zoo
from spp_keras.zoo import tables, weight_packages


def test_list_models_has_two_networks_for_each_table_and_those_with_weights():
    names = zoo.list_models()
    assert names == sorted(names)
    papers = {f"{t.name}{end}" for t in tables.TRUNKS for end in ("", "_spp")}
    assert set(names) == papers | set(weight_packages.PACKAGES)


def test_list_models_lists_those_with_weights():
    names = zoo.list_models(weights="imagenet")
    assert names == [f"efficientnet_lite{i}" for i in range(3)]
    assert zoo.list_models("*lite1", weights="imagenet") == names[1:2]
    assert zoo.list_models("zf*", weights="imagenet") == []
    with pytest.raises(ValueError, match="`weights` must be one of None, 'imagenet'"):
        zoo.list_models(weights="places")


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("*", 11),
        ("efficientnet*", 3),
        ("*_spp", 4),
        ("overfeat*", 4),
        ("zf5", 1),
        ("ZF5", 0),
        ("overfeat[5]_spp", 1),
        ("resnet*", 0),
    ],
)
def test_list_models_filters_by_a_shell_pattern(pattern, expected):
    assert len(zoo.list_models(pattern)) == expected


@pytest.mark.parametrize("name", zoo.list_models())
def test_create_model_builds_each_network(name):
    model = zoo.create_model(name, classes=3, width=0.02)
    assert model.name == name
    assert model.output_shape == (None, 3)


@pytest.mark.parametrize("name", zoo.list_models())
def test_classes_are_the_first_argument(name):
    assert getattr(zoo, name)(7, width=0.02).output_shape == (None, 7)


def test_create_model_suggests_near_names_only():
    with pytest.raises(ValueError, match=r"near names are zf5_spp, zf5\. Received: name='zf5_sp'"):
        zoo.create_model("zf5_sp")
    with pytest.raises(ValueError, match=r"`list_models\(\)` lists them\. Received: name='resnet'"):
        zoo.create_model("resnet")


def test_create_model_does_not_call_other_functions_of_the_zoo():
    with pytest.raises(ValueError, match="`name` must be the name of a network"):
        zoo.create_model("list_models")
