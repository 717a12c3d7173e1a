"""Our safetensors beside the reference library: the same bytes, the same arrays, nothing accepted that it refuses."""
import numpy as np
import pytest

from minigpt.interop import safetensors
from test_safetensors import mutants, some_tensors

reference = pytest.importorskip("safetensors.numpy", reason="the reference library is not installed")
from safetensors import SafetensorError, safe_open  # noqa: E402


def contiguous(tensors):
    """The reference writer gets strided and big-endian arrays wrong, and 0-d ones need care."""
    return {name: np.asarray(array, np.asarray(array).dtype.newbyteorder("="), order="C") for name, array in tensors.items()}


def test_the_reference_reads_what_we_write(tmp_path):
    safetensors.save_file(some_tensors(), tmp_path / "a", {"step": "3"})
    loaded = reference.load_file(tmp_path / "a")
    for name, array in some_tensors().items():
        np.testing.assert_array_equal(loaded[name], array)
        assert loaded[name].dtype == array.dtype.newbyteorder("=") and loaded[name].shape == array.shape
    with safe_open(tmp_path / "a", "np") as file:
        assert file.metadata()["step"] == "3"


def test_we_read_what_the_reference_writes_and_write_the_same_bytes(tmp_path):
    tensors = contiguous(some_tensors())
    safetensors.save_file(tensors, tmp_path / "ours")
    with safe_open(tmp_path / "ours", "np") as file:
        metadata = file.metadata()
    reference.save_file(tensors, tmp_path / "theirs", metadata)
    assert (tmp_path / "ours").read_bytes() == (tmp_path / "theirs").read_bytes()
    reference.save_file(tensors, tmp_path / "theirs")
    for name, array in safetensors.load_file(tmp_path / "theirs", widen=False).items():
        np.testing.assert_array_equal(array, tensors[name])


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_half_precision_is_widened_as_torch_does(tmp_path, dtype):
    torch = pytest.importorskip("torch", reason="torch is not installed")
    from safetensors.torch import save_file
    every_pattern = torch.arange(-2**15, 2**15, dtype=torch.int16).view(getattr(torch, dtype))
    save_file({"a": every_pattern}, tmp_path / "a")
    ours = safetensors.load_file(tmp_path / "a")["a"]
    np.testing.assert_array_equal(ours, every_pattern.float().numpy())
    assert ours.dtype == np.float32


def test_what_the_reference_refuses_we_refuse(tmp_path):
    path, refused = tmp_path / "a", 0
    for data in mutants(2_000, seed=4):
        path.write_bytes(data)
        try:
            safetensors.load_file(path)
        except safetensors.SafetensorsError:
            refused += 1
            continue
        try:
            with safe_open(path, "np") as file:
                file.keys()
        except SafetensorError as error:
            raise AssertionError(f"accepted, but the reference says {error}: {data}") from None
    assert 1_000 < refused < 2_000
