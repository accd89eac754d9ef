"""Files of strangers: damaged, lying or hostile ones are one sentence, and never other numbers."""

from __future__ import annotations

import io
import json
import os
import struct
import tarfile
import tracemalloc
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import zarr
from PIL import Image
from safetensors.numpy import save_file

from codeclens import CodeclensError, Modes, TopK, load_modes
from codeclens.analysis import Hierarchy
from codeclens.decomposition import save_modes
from codeclens.extraction import open_samples
from codeclens.zoo.checkpoint import read_weights

X = np.random.default_rng(0).random((6, 3, 4, 4)).astype(np.float32)
Y = np.arange(6) % 3


def npy(to: Path) -> Path:
    np.save(to / "a.npy", X)
    return to / "a.npy"


def npz(to: Path) -> Path:
    np.savez(to / "a.npz", x=X, y=Y)
    return to / "a.npz"


def packed(to: Path) -> Path:
    np.savez_compressed(to / "b.npz", x=X, y=Y)
    return to / "b.npz"


def picture(seed: int) -> bytes:
    stream = io.BytesIO()
    Image.effect_noise((6, 6), seed + 10).save(stream, "PNG")
    return stream.getvalue()


def member(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size = len(content)
    tar.addfile(entry, io.BytesIO(content))


def tar(to: Path, form: int = tarfile.PAX_FORMAT) -> Path:
    with tarfile.open(to / "a.tar", "w", format=form) as archive:
        for n in range(4):
            member(archive, f"{n:04}.png", picture(n))
            member(archive, f"{n:04}.cls", str(n % 2).encode())
        member(archive, "é" * 80 + ".png", picture(9))
    return to / "a.tar"


def read_samples(path: Path) -> list[bytes]:
    samples = open_samples(path)
    found = [samples.load(index) for index in range(len(samples))]
    return [
        f"{one.key} {one.label}".encode()
        + (b"" if one.image is None else one.image.numpy().tobytes())
        for one in found
    ]


def modes(to: Path) -> Path:
    fitted = TopK(n_modes=8, k=3, epochs=1).fit(np.abs(X.reshape(-1, 6)))
    loadings = fitted.encode(np.abs(X.reshape(-1, 6)))
    save_modes({"conv1": Modes("conv1", "activation", fitted, loadings)}, to / "modes")
    return to / "modes"


def read_modes(folder: Path) -> list[bytes]:
    found = load_modes(folder)
    return [one.dictionary.tobytes() + np.asarray(one.loadings).tobytes() for one in found.values()]


KINDS: dict[str, tuple[Callable[[Path], Path], Callable[[Path], list[bytes]]]] = {
    "npy": (npy, read_samples),
    "npz": (npz, read_samples),
    "packed": (packed, read_samples),
    "tar": (tar, read_samples),
    "modes": (modes, read_modes),
}


@pytest.mark.parametrize("count", [150, pytest.param(1500, marks=pytest.mark.slow)])
@pytest.mark.parametrize("kind", KINDS)
def test_damage_is_a_sentence(kind: str, count: int, tmp_path: Path) -> None:
    """Seeded damage of all files: cuts, flipped bits, numbers in text, runs of one byte."""
    make, read = KINDS[kind]
    path = make(tmp_path)
    read(path)
    rng = np.random.default_rng(0)
    files = sorted(path.rglob("*.*")) if path.is_dir() else [path]
    told: list[str] = []
    for _ in range(count):
        file = files[rng.integers(len(files))]
        whole = file.read_bytes()
        damaged = bytearray(whole)
        # Most damage goes to the beginning and the end, where headers are.
        near = int(rng.integers(min(len(whole), 600)))
        place = [near, len(whole) - 1 - near, int(rng.integers(len(whole)))][rng.integers(3)]
        match rng.integers(4):
            case 0:
                del damaged[place:]
            case 1:
                damaged[place] ^= 1 << int(rng.integers(8))
            case 2:
                damaged[place : place + 4] = rng.choice([b"9999", b"-100", b"\xff" * 4, b"[[[["])
            case _:
                damaged[place : place + 200] = bytes([rng.integers(256)]) * 200
        file.write_bytes(damaged)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # Pillow's, about damaged pictures
                read(path)
        except CodeclensError as error:
            told.append(str(error))
        finally:
            file.write_bytes(whole)
    assert len(told) > count // 10
    assert max(map(len, told)) < 1000


def zipped(to: Path, header: dict[str, object], content: bytes, kind: int) -> Path:
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(stream, header)
    with zipfile.ZipFile(to / "a.npz", "w", kind) as archive:
        archive.writestr("x.npy", stream.getvalue() + content)
        archive.writestr("z.npy", b"\0" * 4096)
    return to / "a.npz"


@pytest.mark.parametrize("kind", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
@pytest.mark.parametrize("shape", [(10**12, 4), (40, 4), (1, 4), (10**13, 0), (-1, 4)])
def test_claimed_sizes_are_checked_before_anything_is_allocated(
    shape: tuple[int, ...], kind: int, tmp_path: Path
) -> None:
    header = {"descr": "<f4", "fortran_order": False, "shape": shape}
    path = zipped(tmp_path, header, b"\0" * 64, kind)
    tracemalloc.start()
    with pytest.raises(CodeclensError, match=r"claims|cannot be read as arrays"):
        open_samples(path)
    assert tracemalloc.get_traced_memory()[1] < 10e6
    tracemalloc.stop()


def test_rows_of_nothing_are_not_counted(tmp_path: Path) -> None:
    stream = io.BytesIO()
    header = {"descr": "<f4", "fortran_order": False, "shape": (10**13, 0)}
    np.lib.format.write_array_header_1_0(stream, header)
    (tmp_path / "a.npy").write_bytes(stream.getvalue())
    with pytest.raises(CodeclensError, match="claims 10,000,000,000,000 samples"):
        open_samples(tmp_path / "a.npy")


@pytest.mark.parametrize("dtype", ["O", "U4", "S3", "M8[D]", "c8", "?", "i8", [("a", "f4")]])
def test_other_types_are_a_sentence(dtype: object, tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.zeros((3, 4), np.dtype(dtype)), allow_pickle=True)
    with pytest.raises(CodeclensError, match=r"cannot be (explained|read as arrays)"):
        open_samples(tmp_path / "a.npy")


def test_zarr_arrays_that_claim_too_much_or_would_run_code(tmp_path: Path) -> None:
    zarr.create_array(tmp_path / "a.zarr", shape=(10**13, 4), chunks=(10, 4), dtype="f4")
    with pytest.raises(CodeclensError, match="claims 10,000,000,000,000 samples"):
        open_samples(tmp_path / "a.zarr")
    (tmp_path / "b.zarr").mkdir()
    about = {
        "zarr_format": 2, "shape": [2, 2], "chunks": [2, 2], "dtype": "<f4", "compressor": None,
        "fill_value": 0, "order": "C", "filters": [{"id": "pickle", "protocol": 5}],
    }  # fmt: skip
    (tmp_path / "b.zarr" / ".zarray").write_text(json.dumps(about))
    (tmp_path / "b.zarr" / "0.0").write_bytes(b"cos\nsystem\n(S'touch ran'\ntR.")
    with pytest.raises(CodeclensError, match="cannot be read as arrays"):
        open_samples(tmp_path / "b.zarr")
    (tmp_path / "c.zarr").mkdir()
    (tmp_path / "c.zarr" / "zarr.json").write_text("[" * 100_000)
    with pytest.raises(CodeclensError, match="cannot be read as arrays"):
        open_samples(tmp_path / "c.zarr")


def test_labels_are_those_of_the_samples(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=X, y=Y[:4])
    with pytest.raises(CodeclensError, match=r"Labels of shape \(4,\) .* do not fit 6 samples"):
        open_samples(tmp_path / "a.npz")


@pytest.mark.parametrize("content", [b"1" * 5000, b"0" * 10**7, b"1_0", b"\xd9\xa3", b"", b"2.0"])
def test_a_label_is_one_short_number(content: bytes, tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        member(archive, "0.png", picture(0))
        member(archive, "0.cls", content)
    tracemalloc.start()
    with pytest.raises(CodeclensError, match="a label must be one whole number") as found:
        open_samples(tmp_path / "a.tar")
    assert tracemalloc.get_traced_memory()[1] < 5e6
    tracemalloc.stop()
    assert len(str(found.value)) < 400


def test_a_file_in_a_tar_does_not_go_beyond_it(tmp_path: Path) -> None:
    path = tar(tmp_path, tarfile.GNU_FORMAT)
    for size in (b"77777777777\0", b"\x80" + b"\0" * 6 + b"\x10" + b"\0" * 4, b"\xff" * 12):
        whole = bytearray(path.read_bytes())
        whole[124:136] = size
        header = bytes(whole[:148]) + b" " * 8 + bytes(whole[156:512])
        whole[148:156] = b"%06o\0 " % sum(header)
        (tmp_path / "b.tar").write_bytes(whole)
        with pytest.raises(CodeclensError, match="cannot be read as a tar archive"):
            open_samples(tmp_path / "b.tar")


@pytest.mark.skipif(os.name != "posix", reason="needs pipes")
def test_pipes_in_place_of_files_do_not_block(tmp_path: Path) -> None:
    for name in ("a.npy", "a.npz", "a.tar"):
        os.mkfifo(tmp_path / name)
        with pytest.raises(CodeclensError, match="it is a pipe, not a file"):
            open_samples(tmp_path / name)
    folder = modes(tmp_path)
    (folder / "conv1.safetensors").unlink()
    os.mkfifo(folder / "conv1.safetensors")
    with pytest.raises(CodeclensError, match="it is a pipe, not a file"):
        load_modes(folder)


@pytest.mark.parametrize("name", ["../conv1", "/etc/passwd", "a/b", "..", "", 7, None, ["x"]])
def test_modes_do_not_lead_out_of_their_folder(name: object, tmp_path: Path) -> None:
    folder = modes(tmp_path)
    (sites,) = folder.glob("all*.json")
    facts = json.loads(sites.read_text())
    facts["sites"] = {"conv1": name}
    sites.write_text(json.dumps(facts))
    with pytest.raises(CodeclensError, match=r"leads out of the folder|does not list modes|is no"):
        load_modes(folder)


def test_links_out_of_a_folder_of_modes_are_not_followed(tmp_path: Path) -> None:
    folder = modes(tmp_path)
    outside = tmp_path / "outside.json"
    (folder / "conv1.json").rename(outside)
    (folder / "conv1.json").symlink_to(outside)
    with pytest.raises(CodeclensError, match="leads out of the folder"):
        load_modes(folder)
    # The hub's cache: a snapshot holds links to blobs of the same repository.
    snapshot = tmp_path / "repo" / "snapshots" / "0a1b"
    blobs = tmp_path / "repo" / "blobs"
    snapshot.parent.mkdir(parents=True)
    blobs.mkdir()
    (folder / "conv1.json").unlink()
    outside.rename(folder / "conv1.json")
    folder.rename(snapshot)
    for number, file in enumerate(sorted(snapshot.iterdir())):
        file.rename(blobs / str(number))
        file.symlink_to(blobs / str(number))
    assert list(load_modes(snapshot)) == ["conv1"]


TREES = {
    "a bomb": "a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\n",
    "itself": "a: &a\n  b: *a\n",
    "depth": "a: " + "[" * 5000 + "]" * 5000,
    "a list": "- a\n- b\n",
    "a number": "5",
    "a date": "2020-99-99: [a]\n",
    "bytes": b"\xff\xfe\x00",
    "code": "a: !!python/object/apply:os.system ['touch ran']\n",
    "objects": "a: [1.5, b]\n",
    "a long name": f"a: [{'b' * 10**6}: 1.5]\n",
}


@pytest.mark.parametrize("kind", TREES)
def test_hierarchies_of_strangers(kind: str, tmp_path: Path) -> None:
    text = TREES[kind]
    file = tmp_path / "tree.yaml"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(CodeclensError, match="hierarchy") as found:
        Hierarchy.from_file(file)
    assert len(str(found.value)) < 500


@pytest.mark.parametrize("seed", range(3))
def test_weights_of_strangers(seed: int, tmp_path: Path) -> None:
    save_file({"a": np.zeros((3, 4), np.float32)}, tmp_path / "a.safetensors")
    whole = (tmp_path / "a.safetensors").read_bytes()
    rng = np.random.default_rng(seed)
    told = []
    for _ in range(60):
        damaged = bytearray(whole)
        damaged[rng.integers(len(whole))] ^= 1 << int(rng.integers(8))
        (tmp_path / "a.safetensors").write_bytes(damaged[: rng.integers(len(whole) + 1)])
        try:
            read_weights(tmp_path / "a.safetensors")
        except CodeclensError as error:
            told.append(str(error))
    assert max(map(len, told)) < 600
    (tmp_path / "a.safetensors").write_bytes(struct.pack("<Q", 2**62) + b"{}")
    with pytest.raises(CodeclensError, match="is not a valid safetensors file"):
        read_weights(tmp_path / "a.safetensors")
