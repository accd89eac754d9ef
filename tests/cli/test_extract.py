"""`codeclens extract` on a user's own model and folder of images."""

from __future__ import annotations

import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from codeclens import RayEngine, extraction
from codeclens.extraction import ContributionStore

Told = Callable[..., tuple[int, str, str]]
OWN = ("extract", "--model", "tiny:build", "--images", "images", "--to", "run/store.zarr")


def own(*arguments: str) -> list[str]:
    """The command line `OWN` with more flags, which may override its own."""
    given = dict(zip(OWN[1::2], OWN[2::2], strict=True))
    kept = [
        part for flag, value in given.items() if flag not in arguments for part in (flag, value)
    ]
    return [OWN[0], *kept, *arguments]


def test_corrupt_images_are_skipped_and_reported(desk: Path, told: Told) -> None:
    code, out, err = told(*OWN, "--steps", 3)
    assert (code, err) == (0, "")
    store = ContributionStore(desk / "run" / "store.zarr")
    assert len(store) == 10
    assert store.sites == ["1", "4"]
    assert store.classes == ["dark", "grey", "bright"]
    assert np.bincount(store.label).tolist() == [3, 3, 4]
    assert "2 samples were skipped" in out
    assert "dark/2.png" in out
    assert "grey/1.png" in out
    assert "sum to the change of the target" in out


def test_the_configuration_repeats_the_run(desk: Path, told: Told) -> None:
    told(*OWN, "--steps", 3, "--sites", "0,4", "--target", "output:1", "--limit", 6)
    left = desk / "run" / "config.yaml"
    settings = yaml.safe_load(left.read_text(encoding="utf-8"))["extract"]
    assert settings["sites"] == ["0", "4"]
    assert settings["batch_size"] == 16, "defaults are written, too"
    assert told("extract", "--config", left, "--to", "again/store.zarr")[0] == 0
    first, again = (ContributionStore(desk / f / "store.zarr") for f in ("run", "again"))
    assert np.array_equal(first.view("4"), again.view("4"))
    assert first.metadata["settings"] == again.metadata["settings"]


def test_run_again_it_resumes_and_other_settings_are_refused(desk: Path, told: Told) -> None:
    told(*OWN, "--steps", 3)
    before = ContributionStore(desk / "run" / "store.zarr").metadata["created"]
    assert told(*OWN, "--steps", 3)[0] == 0
    assert ContributionStore(desk / "run" / "store.zarr").metadata["created"] == before
    code, _, err = told(*OWN, "--steps", 4)
    assert code == 2
    assert "steps" in err


def test_targets_and_methods_are_as_asked(desk: Path, told: Told) -> None:
    told(
        *OWN, "--target", "label", "--target-scale", "probabilities",
        "--method", "activation-gradient", "--sites", "4",
    )  # fmt: skip
    settings = ContributionStore(desk / "run" / "store.zarr").metadata["settings"]
    assert settings["target"] == {"class": "Label", "of": "probabilities"}
    assert settings["method"]["class"] == "ActivationGradient"


@pytest.mark.parametrize(
    ("name", "start"), [("activation-path", 0.0), ("late-activation-path", 0.5)]
)
def test_activation_paths_are_asked_for_by_name(
    desk: Path, told: Told, name: str, start: float
) -> None:
    told(*OWN, "--method", name, "--steps", 3, "--sites", "4")
    settings = ContributionStore(desk / "run" / "store.zarr").metadata["settings"]
    assert settings["method"]["class"] == "ActivationPath"
    assert (settings["method"]["steps"], settings["method"]["start"]) == (3, start)


def test_a_dict_is_explained_by_its_key(desk: Path, told: Told) -> None:
    arguments = own("--model", "tiny:build_dict", "--sites", "net.4", "--output", "logits")
    assert told(*arguments)[0] == 0
    assert ContributionStore(desk / "run" / "store.zarr").sites == ["net.4"]


def test_classes_from_a_file(desk: Path, told: Told) -> None:
    (desk / "names.txt").write_text("bright\ngrey\ndark\n", encoding="utf-8")
    assert told(*OWN, "--classes", "names.txt")[0] == 0
    store = ContributionStore(desk / "run" / "store.zarr")
    assert store.classes == ["bright", "grey", "dark"]
    assert np.bincount(store.label).tolist() == [4, 3, 3]


def test_folders_of_other_names_are_classes_of_their_own(desk: Path, told: Told) -> None:
    (desk / "images" / "dark").rename(desk / "images" / "holidays")
    code, out, _ = told(*OWN, "--steps", 2)
    assert code == 0
    assert "folder names are not among" in out
    assert "no accuracy, since the labels do not index the 3 outputs" in out
    store = ContributionStore(desk / "run" / "store.zarr")
    assert store.classes == ["bright", "grey", "holidays"]
    assert np.bincount(store.label).tolist() == [4, 3, 3]
    code, _, err = told(*own("--to", "labels/store.zarr", "--target", "label"))
    assert code == 2, "a label that the model does not know cannot be explained"
    assert '"holidays" is not one of the 3 classes' in err


def test_archives_and_arrays_are_taken_too(desk: Path, told: Told) -> None:
    told(*OWN, "--steps", 3)
    folder = ContributionStore(desk / "run" / "store.zarr")
    with tarfile.open(desk / "all.tar", "w") as archive:
        archive.add(desk / "images", arcname=".")
    pictures = sorted((desk / "images").rglob("*.png"))
    good = [file for file in pictures if f"{file.parent.name}/{file.name}" in set(folder.key)]
    np.save(desk / "all.npy", np.stack([np.asarray(Image.open(file)) for file in good]))
    for place, name in enumerate(("all.tar", "al*.tar", "all.npy")):
        to = desk / str(place) / "store.zarr"
        code, _, err = told(*own("--images", name, "--to", str(to), "--steps", "3"))
        assert (code, err) == (0, "")
        found = ContributionStore(to)
        assert len(found) == 10
        both = (np.sort(store.view("4"), axis=0) for store in (found, folder))
        np.testing.assert_allclose(*both, rtol=1e-4, atol=1e-6)


def test_a_plan_is_printed_and_nothing_written(desk: Path, told: Told) -> None:
    before = sorted(desk.iterdir())
    code, out, err = told(*OWN, "--steps", 3, "--plan")
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[:4] == [
        "12 samples in 1 shard",
        "2 sites, 14 units",
        "  1       6 units",
        "  4       8 units",
    ]
    assert [line for line in lines[4:] if " on disk" in line or " of memory" in line]
    assert sorted(set(desk.iterdir()) - {desk / "__pycache__"}) == before


@pytest.mark.filterwarnings("ignore:There is rounding by a cast to bfloat16")
def test_options_for_speed_and_positions_reach_the_store(desk: Path, told: Told) -> None:
    told(
        *OWN,
        "--steps",
        3,
        "--sites",
        "1",
        "--grid",
        2,
        2,
        "--autocast",
        "bfloat16",
        "--dtype",
        "float16",
    )
    store = ContributionStore(desk / "run" / "store.zarr")
    assert store.maps("1").shape == (10, 6, 2, 2)
    settings = store.metadata["settings"]
    assert settings["computing"] == {"fold_batchnorm": False, "autocast": "bfloat16"}
    assert settings["dtype"] == "float16"


MISTAKES = {
    "an unknown site": (["--sites", "lear"], ["no site", "nearest names are"]),
    "a site that returns no tensor": (
        ["--model", "tiny:Recurrent", "--sites", "memory"],
        ["memory"],
    ),
    "a dict without a selector": (["--model", "tiny:build_dict", "--sites", "net.4"], ["logits"]),
    "an output out of range": (["--target", "output:7"], ["Output(7)", "3 outputs"]),
    "no folder of images": (["--images", "nowhere"], ['no folder "nowhere"']),
    "a folder without images": (["--images", "empty"], ["contains no images"]),
    "no such module": (["--model", "tyni:build"], ['no module "tyni"']),
    "no such function": (["--model", "tiny:biuld"], ["biuld", "build"]),
    "no such model": (["--model", "digits-resent"], ["digits-resnet"]),
    "no weights file": (["--weights", "w.safetensors"], ["w.safetensors"]),
    "no class names": (["--classes", "names.txt"], ["no file of class names names.txt"]),
    "strict about images": (["--strict"], ["dark/2.png"]),
    "names with a hole": (["--classes", "hole.txt"], ["Line 2 of hole.txt is empty"]),
    "names twice": (["--classes", "twice.txt"], ['lists "a" 2 times']),
    "names that fit no folder": (["--classes", "other.txt"], ['"bright"', "one of the 3 classes"]),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_gets_one_sentence_and_exit_code_2(name: str, desk: Path, told: Told) -> None:
    (desk / "empty").mkdir()
    for file, text in (("hole", "a\n\nb"), ("twice", "a\na\nb"), ("other", "x\ny\nz")):
        (desk / f"{file}.txt").write_text(text, encoding="utf-8")
    arguments, words = MISTAKES[name]
    code, _, err = told(*own(*arguments))
    assert code == 2, err
    assert "Traceback" not in err
    assert err.startswith("codeclens: ")
    assert err.count("\n") == 1
    assert [word for word in words if word not in err] == [], err


def test_labels_out_of_range_are_reported(desk: Path, told: Told) -> None:
    (desk / "more.txt").write_text("a\nb\nc\ndark\ngrey\nbright\n", encoding="utf-8")
    code, _, err = told(*OWN, "--classes", "more.txt", "--target", "label")
    assert code == 2
    assert "out of range: the model has 3 classes" in err


def test_images_that_all_fail_are_reported(desk: Path, told: Told) -> None:
    (desk / "bad").mkdir()
    (desk / "bad" / "a.png").write_bytes(b"nothing")
    code, _, err = told(*own("--images", "bad"))
    assert code == 2
    assert err.count("\n") == 1


def test_nan_pixels_are_recorded_not_fatal(desk: Path, told: Told) -> None:
    text = (desk / "tiny.py").read_text(encoding="utf-8")
    nan = text.replace("/ 255", "/ 255 * (1 if values.float().mean() < 230 else float('nan'))")
    (desk / "tiny.py").write_text(nan, encoding="utf-8")
    Image.new("L", (8, 8), "white").save(desk / "images" / "bright" / "white.png")
    code, out, _ = told(*OWN)
    assert code == 0
    assert "bright/white.png: the image holds NaN" in out


def test_nothing_written_is_lost_by_a_later_mistake(desk: Path, told: Told) -> None:
    told(*OWN, "--steps", 3)
    before = ContributionStore(desk / "run" / "store.zarr").view("4").copy()
    for arguments in (["--sites", "lear"], ["--steps", "5"], ["--model", "tiny:build_dict"]):
        assert told(*own(*arguments))[0] == 2
    assert np.array_equal(ContributionStore(desk / "run" / "store.zarr").view("4"), before)


def test_ray_and_object_storage_are_passed_on(
    desk: Path, told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: dict[str, object] = {}
    real = extraction.extract

    def here(*arguments: object, engine: object, **options: object) -> ContributionStore:
        seen["engine"] = engine
        return real(*arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr("codeclens.cli.extract_command.cl.extract", here)
    address = "memory://bucket/run/store.zarr"
    arguments = own("--to", address, "--engine", "ray", "--workers", "3", "--worker-gpus", "0.5")
    code, out, _ = told(*arguments)
    assert code == 0
    assert seen["engine"] == RayEngine(workers=3, gpus=0.5)
    assert f"ContributionStore '{address}'" in out
    assert not (desk / "memory:").exists()
    assert len(ContributionStore(address)) == 10
