"""Weight files of PyTorch: the tensors exactly, or a `ValueError` and nothing done."""

import collections
import copyreg
import io
import os
import pickle
import struct
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from torch_pickler import HEADER, MAGIC_NUMBER, Storage, Tensor, dump, make_file

from spp_keras.zoo import torch_files, torch_pickles

GOLDENS = Path(__file__).parents[1] / "goldens"
FILE = (GOLDENS / "torch_file.pth").read_bytes()


@pytest.fixture(scope="module")
def read(tmp_path_factory):
    """Reads bytes as a file."""
    path = tmp_path_factory.mktemp("torch") / "weights.pth"

    def read(content):
        path.write_bytes(content)
        return torch_files.read_torch_file(path)

    return read


@pytest.fixture(scope="module")
def expected():
    with np.load(GOLDENS / "torch_file.npz") as file:
        return dict(file)


def same(found, expected):
    assert list(found) == list(expected)
    for name, array in found.items():
        assert array.dtype == expected[name].dtype
        np.testing.assert_array_equal(array, expected[name], strict=True)


def refused(read, content, match="cannot be read"):
    with pytest.raises(ValueError, match=match):
        read(content)


class Named:
    """An object that a pickle names and calls."""

    def __init__(self, function, *arguments):
        self.function, self.arguments = function, arguments

    def __reduce__(self):
        return self.function, self.arguments

    def __call__(self):
        """What is called must be callable, where it is written."""


def state_of(*arguments, **options):
    return collections.OrderedDict(weight=Tensor(*arguments, **options))


# What PyTorch wrote.


def test_tensors_that_torch_wrote_are_read_exactly(read, expected):
    same(read(FILE), expected)
    assert {array.dtype.name for array in expected.values()} == {"float32", "int64"}


def test_a_file_made_by_hand_is_read(read):
    same(read(make_file(state_of())), {"weight": np.arange(6, dtype="float32").reshape(2, 3)})
    transposed = read(make_file(state_of(shape=(3, 2), strides=(1, 3))))["weight"]
    np.testing.assert_array_equal(transposed, np.arange(6.0).reshape(2, 3).T)


def test_attributes_of_the_dictionary_are_passed_over(read, expected):
    state = state_of()
    state._metadata = {"": {"version": 1}}
    assert list(read(make_file(state))) == ["weight"]


def test_arrays_cannot_be_written_to(read):
    # They are the memory of the file, and some share it.
    assert not any(array.flags["W"] for array in read(FILE).values())


# Damage.


def test_a_file_cut_anywhere_is_refused(read):
    for length in [*range(0, len(FILE), 5), len(FILE) - 1]:
        refused(read, FILE[:length])


def test_a_file_that_goes_on_is_refused(read):
    refused(read, FILE + b"\0", "something follows")


@settings(max_examples=300)
@given(
    changes=st.lists(
        st.tuples(st.integers(0, len(FILE) - 1), st.integers(0, 255)), min_size=1, max_size=4
    )
)
def test_changed_bytes_are_read_as_tensors_or_refused(read, changes):
    content = bytearray(FILE)
    for place, value in changes:
        content[place] = value
    _read_or_refuse(read, bytes(content))


@settings(max_examples=300)
@given(
    place=st.integers(0, len(FILE)),
    inserted=st.lists(st.sampled_from(sorted(pickle.__all__))).map(
        lambda names: b"".join(
            code for name in names if isinstance(code := getattr(pickle, name), bytes)
        )
    ),
    data=st.binary(max_size=12),
)
def test_inserted_instructions_are_read_as_tensors_or_refused(read, place, inserted, data):
    _read_or_refuse(read, FILE[:place] + inserted + data + FILE[place:])


@settings(max_examples=100)
@given(content=st.binary(max_size=200))
def test_any_bytes_behind_the_header_are_refused(read, content):
    _read_or_refuse(read, HEADER + content)


def _read_or_refuse(read, content):
    try:
        arrays = read(content)
    except ValueError:
        return
    assert all(isinstance(array, np.ndarray) for array in arrays.values())


# Hostile files.

CALLS = {
    "os.system": Named(os.system, "echo done > {target}"),
    "eval": Named(eval, "__import__('os').mkdir({target!r})"),
    "exec": Named(exec, "import os; os.mkdir({target!r})"),
    "mkdir": Named(os.mkdir, "{target}"),
    "getattr": Named(getattr, Named(__import__, "os"), "system"),
    "a chain": Named(Named(getattr, Named(__import__, "os"), "mkdir"), "{target}"),
    "copyreg": Named(copyreg._reconstructor, object, object, None),
    "codecs": Named(__import__, "codecs"),
}


@pytest.mark.parametrize("place", ["value", "key", "instead", "header", "hooks", "storage", "keys"])
@pytest.mark.parametrize("name", CALLS)
def test_nothing_that_a_file_names_is_called(read, tmp_path, name, place):
    target = tmp_path / "done"
    call = _aim(CALLS[name], str(target))
    if place == "value":
        content = make_file(collections.OrderedDict(weight=Tensor(), other=call))
    elif place == "key":
        content = make_file(_with_key(dump(call)))
    elif place == "instead":
        content = make_file(call)
    elif place == "header":
        content = dump(call) + make_file(state_of())
    elif place == "hooks":
        content = make_file(state_of(hooks=collections.OrderedDict(hook=call)))
    elif place == "storage":
        content = make_file(state_of(Storage(key=call)))
    else:
        content = HEADER + dump(state_of()) + dump([call])
    refused(read, content)
    assert not target.exists()


def test_the_calls_are_dangerous(tmp_path):
    for number, name in enumerate(["os.system", "eval", "exec", "mkdir", "a chain"]):
        target = tmp_path / str(number)
        pickle.loads(pickle.dumps(_aim(CALLS[name], str(target))))
        assert target.exists(), name


def _aim(call, target):
    """The call with the path of a file that it would make."""
    if isinstance(call, Named):
        return Named(*(_aim(part, target) for part in (call.function, *call.arguments)))
    return call.format(target=target) if isinstance(call, str) else call


def _with_key(key):
    """A dictionary with the value of a pickle as a key."""
    return b"\x80\x02}" + key[2:-1] + b"K\x01s."


BUILD_ON_FUNCTION = b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n}X\x01\x00\x00\x00aK\x01sb."
PICKLES = {
    "an attribute of a function": BUILD_ON_FUNCTION,
    "an instance": b"\x80\x02(cos\nsystem\nX\x02\x00\x00\x00lso.",
    "an instance by name": b"(X\x02\x00\x00\x00lsios\nsystem\n.",
    "a new object": b"\x80\x02ccollections\nOrderedDict\n)\x81.",
    "an extension": b"\x80\x02\x82\x01.",
    "a name from the stack": b"\x80\x04\x8c\x02os\x8c\x06system\x93.",
    "a persistent line": b"Pstorage\n.",
    "escaped text": b"S'\\q'\n.",
    "a huge text": b"\x80\x04\x8d" + struct.pack("<Q", 2**60) + b".",
    "a large text": b"\x80\x02X" + struct.pack("<I", 2**32 - 1) + b".",
    "a huge number": b"\x80\x02\x8b" + struct.pack("<i", 2**31 - 1) + b".",
    "a number of digits": b"I" + b"9" * 10_000 + b"\n.",
    "a huge frame": b"\x80\x04\x95" + struct.pack("<Q", 2**62) + b".",
    "a large memo": b"\x80\x02}r" + struct.pack("<I", 2**32 - 1) + b"0.",
    "an unknown memo": b"\x80\x02h\x07.",
    "nothing": b"\x80\x02.",
    "too much": b"\x80\x02NN.",
    "marks": b"\x80\x02" + b"(" * 50_000 + b"t" * 50_000 + b".",
    "deep tuples": b"\x80\x02)" + b"\x85" * 60_000 + b".",
    "a deep key": b"\x80\x02})" + b"\x85" * 60_000 + b"K\x01s.",
    "a deep call": b"\x80\x02ccollections\nOrderedDict\n" + b")R" * 60_000 + b".",
    "deep references": b"\x80\x02)" + b"Q" * 60_000 + b".",
    "many dictionaries": b"\x80\x02" + b"}" * 300_000 + b".",
    "a list in itself": b"\x80\x02]q\x00(h\x00e.",
    "a billion laughs": b"\x80\x02)q\x00" + b"h\x00h\x00\x86q\x00" * 40 + b".",
    "odd items": b"\x80\x02}(NNNu.",
    "below the stack": b"\x80\x02\x87.",
    "below a mark": b"\x80\x02NN(0t.",
    "no text": b"\x80\x02X\x02\x00\x00\x00\xff\xff.",
}


@pytest.mark.parametrize("name", PICKLES)
def test_a_hostile_pickle_is_refused(read, name):
    refused(read, make_file(PICKLES[name]))
    refused(read, PICKLES[name] + make_file(state_of()))
    refused(read, HEADER + dump(state_of()) + PICKLES[name])


@pytest.mark.parametrize("name", [name for name in PICKLES if "huge" in name or "large" in name])
def test_a_length_in_a_pickle_takes_no_memory(read, name):
    tracemalloc.start()
    try:
        refused(read, make_file(PICKLES[name]))
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


def test_functions_are_as_before_a_hostile_file(read):
    refused(read, make_file(BUILD_ON_FUNCTION))
    assert not hasattr(collections.OrderedDict, "a")
    for function in vars(torch_files).values():
        assert not hasattr(function, "a")


TENSORS = {
    "beyond its storage": {"shape": (2, 4)},
    "behind its storage": {"offset": 6, "shape": (1,), "strides": (1,)},
    "partly behind": {"offset": 1},
    "with a large stride": {"strides": (2**39, 1)},
    "with negative strides": {"offset": 5, "strides": (-3, -1)},
    "with a negative offset": {"offset": -1},
    "of a huge size": {"shape": (2**39, 2**39, 2**39), "strides": (0, 0, 0)},
    "repeated": {"shape": (7,), "strides": (0,)},
    "of a huge whole number": {"offset": 2**70},
    "of many dimensions": {"shape": (1,) * 70, "strides": (1,) * 70},
    "without elements": {"shape": (0, 3)},
    "of negative sizes": {"shape": (-2, -3)},
    "of other strides": {"strides": (1,)},
    "of lists": {"shape": [2, 3], "strides": [3, 1]},
    "of truths": {"offset": False},
    "of text": {"shape": "23", "strides": "31"},
    "with hooks": {"hooks": collections.OrderedDict(hook=1)},
    "of no storage": {"storage": ("storage", "FloatStorage", "0", "cpu", 6, None)},
    "of halves": {"storage": Storage(kind="HalfStorage")},
    "on another device": {"storage": Storage(location="cuda:0")},
    "of a view": {"storage": Storage(view=("1", 0, 2))},
    "of a longer storage": {"storage": Storage(length=7)},
    "of a huge storage": {"storage": Storage(length=2**39)},
    "of a negative storage": {"storage": Storage(length=-1)},
    "of an unknown storage": {"storage": Storage(key="1")},
    "of a storage by number": {"storage": Storage(key=0)},
}


@pytest.mark.parametrize("name", TENSORS)
def test_a_tensor_that_cannot_be_is_refused(read, name):
    refused(read, make_file(state_of(**TENSORS[name])))


def test_a_storage_of_a_huge_length_takes_no_memory(read):
    state = state_of(Storage(length=2**39))
    storages = struct.pack("<q6f", 2**39, *range(6))
    tracemalloc.start()
    try:
        refused(read, make_file(state, storages=storages), "it is cut")
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


def test_many_tensors_of_one_storage_take_no_memory(read):
    storage = Storage(length=250_000)
    state = collections.OrderedDict(
        (str(i), Tensor(storage, 0, (250_000,), (1,))) for i in range(500)
    )
    content = make_file(state, storages=struct.pack("<q", 250_000) + bytes(1_000_000))
    tracemalloc.start()
    try:
        arrays = read(content)
        assert tracemalloc.get_traced_memory()[1] < 3_000_000
    finally:
        tracemalloc.stop()
    assert sum(array.nbytes for array in arrays.values()) == 500_000_000


OTHERS = {
    "no dictionary": [Tensor()],
    "a tensor alone": Tensor(),
    "a number": collections.OrderedDict(weight=Tensor(), epoch=3),
    "a dictionary in a dictionary": collections.OrderedDict(state=state_of()),
    "a storage": collections.OrderedDict(weight=Storage()),
}


@pytest.mark.parametrize("name", OTHERS)
def test_a_file_of_something_else_is_refused(read, name):
    refused(read, make_file(OTHERS[name]), "it holds something else|it has a key")


def test_two_descriptions_of_one_storage_are_refused(read):
    state = collections.OrderedDict(a=Tensor(), b=Tensor(Storage(length=5), shape=(1, 3)))
    refused(read, make_file(state), "in two ways")


@pytest.mark.parametrize("keys", [(), ("0", "0"), ("0", "1"), (0,), ((),)])
def test_other_storages_than_those_of_the_tensors_are_refused(read, keys):
    refused(read, make_file(state_of(), keys))


@pytest.mark.parametrize(
    "system", [{"little_endian": False}, {}, [], {"little_endian": 1}, 1001], ids=repr
)
def test_numbers_of_another_order_are_refused(read, system):
    pickles = [pickle.dumps(value, protocol=2) for value in (MAGIC_NUMBER, 1001)]
    header = b"".join(pickles) + pickle.dumps(system, protocol=2)
    refused(read, header + make_file(state_of())[len(HEADER) :], "little-endian")


def test_the_new_format_of_torch_is_refused(read):
    refused(read, b"PK\x03\x04" + bytes(100))


def test_a_missing_file_is_an_error_of_its_own(tmp_path):
    with pytest.raises(FileNotFoundError):
        torch_files.read_torch_file(tmp_path / "none.pth")


def test_pickles_that_are_no_programs_are_those_of_python():
    values = [{"a": [1, -2, 300, 70_000, 2**70, -(2**70)], "ä": ((), (1,), (1, 2), (1, 2, 3))}]
    values += [(1, 2, 3, 4), [None, True, False, {}], collections.OrderedDict()]
    for value in values:
        stream = io.BytesIO(pickle.dumps(value, protocol=2) + b"more")
        assert torch_pickles.read_pickle(stream) == value
        assert stream.read() == b"more"
