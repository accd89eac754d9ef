"""Recordings in NWB, in files that pynwb writes."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from pynwb import NWBHDF5IO, NWBFile
from pynwb.base import ImageReferences, Images
from pynwb.epoch import TimeIntervals
from pynwb.image import ImageSeries, IndexSeries, RGBImage

from codeclens import CodeclensError
from codeclens.retina import join_repeats, load_nwb, load_nwb_parts

ABOUT: dict = {"pixel": 30.0, "unit": "um"}


def written(place: Path, series: list[ImageSeries], spikes: dict[int, np.ndarray] | None) -> Path:
    content = NWBFile("a session", "one", datetime(2026, 1, 1, tzinfo=UTC))
    for one in series:
        content.add_stimulus(one)
    for number, times in (spikes or {}).items():
        content.add_unit(spike_times=times, id=number)
    with NWBHDF5IO(str(place), "w") as io:
        io.write(content)
    return place


def film(rng: np.random.Generator, name: str = "noise", **clock: object) -> ImageSeries:
    given = clock or {"starting_time": 5.0, "rate": 50.0}
    data = rng.integers(0, 255, (20, 4, 3)).astype(np.uint8)
    return ImageSeries(name=name, data=data, unit="n.a.", **given)


SPIKES = {4: np.array([4.99, 5.001, 5.015, 5.05, 5.399, 5.41]), 9: np.array([5.02])}


def test_spikes_become_rates_in_the_frames_of_the_film(
    tmp_path: Path, rng: np.random.Generator
) -> None:
    series = film(rng)
    found = load_nwb(written(tmp_path / "a.nwb", [series], SPIKES), scale=(100.0, 50.0), **ABOUT)
    assert list(found.cells) == ["unit 4", "unit 9"]
    assert found.movie.rate == 50.0
    wanted = (np.asarray(series.data, dtype=float).swapaxes(1, 2) - 100) / 50
    assert np.allclose(found.movie.frames, wanted)
    # Two in the first frame (5.00 to 5.02 s), one in the third, one in the last; two outside.
    counts = np.zeros(20)
    counts[[0, 2, 19]] = 2, 1, 1
    assert np.allclose(found.rates[:, 0], counts * 50)
    assert found.rates[1, 1] == 50.0


def test_times_may_be_stamps_and_axes_the_other_way(
    tmp_path: Path, rng: np.random.Generator
) -> None:
    stamps = 5.0 + np.arange(20) / 50
    place = written(tmp_path / "a.nwb", [film(rng, timestamps=stamps), film(rng, "bars")], SPIKES)
    found = load_nwb(place, stimulus="noise", axes="yx", cells=[9], **ABOUT)
    assert found.movie.frames.shape == (20, 4, 3)
    assert found.movie.rate == pytest.approx(50.0)
    assert found.rates.sum() == pytest.approx(50.0)
    with pytest.raises(CodeclensError, match="has the films bars, noise; choose one"):
        load_nwb(place, **ABOUT)
    with pytest.raises(CodeclensError, match="units 4, 9; unit 5 is not one of them"):
        load_nwb(place, stimulus="noise", cells=[5], **ABOUT)


def test_bad_files_are_reported(tmp_path: Path, rng: np.random.Generator) -> None:
    stamps = np.cumsum(rng.uniform(0.01, 0.03, 20))
    place = written(tmp_path / "a.nwb", [film(rng, timestamps=stamps)], SPIKES)
    with pytest.raises(CodeclensError, match="a movie has one rate"):
        load_nwb(place, **ABOUT)
    place = written(tmp_path / "b.nwb", [film(rng)], None)
    with pytest.raises(CodeclensError, match="no units with spike times"):
        load_nwb(place, **ABOUT)
    colours = ImageSeries(
        name="c", data=np.zeros((5, 4, 3, 3)), unit="n.a.", rate=50.0, starting_time=0.0
    )
    place = written(tmp_path / "c.nwb", [colours], SPIKES)
    with pytest.raises(CodeclensError, match="colour \\(=3\\) must be"):
        load_nwb(place, colour=3, **ABOUT)
    with pytest.raises(CodeclensError, match='no order of axes "yxz"'):
        load_nwb(place, axes="yxz", **ABOUT)
    (tmp_path / "d.nwb").write_bytes(b"no")
    with pytest.raises(CodeclensError, match="not an NWB file"):
        load_nwb(tmp_path / "d.nwb", **ABOUT)


@pytest.mark.filterwarnings("ignore")
def test_overwritten_bytes_are_reported(tmp_path: Path, rng: np.random.Generator) -> None:
    """Wherever the file is damaged, it loads or one sentence says so."""
    place = written(tmp_path / "a.nwb", [film(rng)], SPIKES)
    whole = place.read_bytes()
    # The first bytes are HDF5's own structure, most of the others text of the standard.
    said = set()
    for start in range(0, min(len(whole), 16000), 800):
        place.write_bytes(whole[:start] + b"\xa5" * 100 + whole[start + 100 :])
        try:
            load_nwb(place, **ABOUT)
        except CodeclensError as error:
            said.add(str(error).removeprefix(f'"{place}" '))
    assert said


def test_a_film_with_gaps_is_cut_and_presentations_are_repeats(
    tmp_path: Path, rng: np.random.Generator
) -> None:
    once = rng.integers(0, 255, (10, 4, 3)).astype(np.uint8)
    stamps = np.concatenate([5.0 + np.arange(10) / 50, 9.0 + np.arange(10) / 50])
    series = ImageSeries(
        name="noise", data=np.concatenate([once, once]), unit="n.a.", timestamps=stamps
    )
    spikes = {4: np.array([5.001, 5.19, 7.0, 9.001, 9.002, 9.03])}
    place = written(tmp_path / "a.nwb", [series], spikes)
    with pytest.raises(CodeclensError, match="gaps between 2 parts"):
        load_nwb(place, **ABOUT)
    parts = load_nwb_parts(place, **ABOUT)
    assert [len(part.movie) for part in parts] == [10, 10]
    assert parts[0].rates[:, 0].tolist() == [50.0, *[0.0] * 8, 50.0]
    assert parts[1].rates[:, 0].tolist() == [100.0, 50.0, *[0.0] * 8]
    joined = join_repeats(parts)
    assert joined.repeats is not None
    assert joined.repeats.shape == (2, 10, 1)
    assert joined.rates[0, 0] == 75.0
    other = load_nwb_parts(written(tmp_path / "b.nwb", [film(rng)], spikes), **ABOUT)
    with pytest.raises(CodeclensError, match="Recording 1 has other frames"):
        join_repeats([parts[0], *other])


def test_an_index_series_shows_its_images_and_colours_are_chosen(
    tmp_path: Path, rng: np.random.Generator
) -> None:
    colours = rng.integers(0, 255, (5, 4, 3, 3)).astype(np.uint8)
    pictures = [RGBImage(name=f"picture {n}", data=one) for n, one in enumerate(colours)]
    order = np.array([3, 0, 0, 4, 1])
    content = NWBFile("a session", "one", datetime(2026, 1, 1, tzinfo=UTC))
    references = ImageReferences(name="order_of_images", data=pictures)
    templates = Images(name="pictures", images=pictures, order_of_images=references)
    content.add_stimulus_template(templates)
    content.add_stimulus(
        IndexSeries(name="shown", data=order.astype(np.uint32), unit="N/A", rate=50.0,
                    starting_time=5.0, indexed_images=templates)
    )  # fmt: skip
    content.add_unit(spike_times=SPIKES[4], id=4)
    place = tmp_path / "a.nwb"
    with NWBHDF5IO(str(place), "w") as io:
        io.write(content)
    found = load_nwb(place, colour=1, **ABOUT)
    wanted = colours[order][..., 1].swapaxes(1, 2)
    np.testing.assert_array_equal(found.movie.frames, wanted)
    every = load_nwb(place, **ABOUT)
    assert list(every.movie.colours) == ["0", "1", "2"]
    np.testing.assert_array_equal(every.movie.of_colour("1").frames, wanted)
    np.testing.assert_array_equal(every.rates, found.rates)


def presented(to: Path, film: np.ndarray, table: TimeIntervals | None) -> Path:
    content = NWBFile("a session", "one", datetime(2026, 1, 1, tzinfo=UTC))
    content.add_stimulus_template(
        ImageSeries(name="clip", data=film, unit="n.a.", rate=50.0, starting_time=0.0)
    )
    if table is not None:
        content.add_time_intervals(table)
    content.add_unit(spike_times=SPIKES[4], id=4)
    with NWBHDF5IO(str(to), "w") as io:
        io.write(content)
    return to


def test_a_template_is_shown_as_often_as_its_table_says(
    tmp_path: Path, rng: np.random.Generator
) -> None:
    clip = rng.normal(size=(10, 4, 3)).astype(np.float32)
    whole = TimeIntervals(name="clip_presentations", description="whole")
    for start in (5.0, 6.0):
        whole.add_row(start_time=start, stop_time=start + 0.2)
    place = presented(tmp_path / "a.nwb", clip, whole)
    joined = join_repeats(load_nwb_parts(place, axes="yx", **ABOUT))
    assert joined.repeats is not None
    assert joined.repeats.shape == (2, 10, 1)
    assert joined.movie.rate == pytest.approx(50.0)
    np.testing.assert_array_equal(joined.movie.frames, clip)
    spikes = np.asarray(SPIKES[4])
    for number, start in enumerate((5.0, 6.0)):
        counts = np.histogram(spikes, start + np.arange(11) / 50.0)[0]
        np.testing.assert_allclose(joined.repeats[number, :, 0], counts * 50.0)
    with pytest.raises(CodeclensError, match="gaps between 2 parts"):
        load_nwb(place, **ABOUT)

    order = rng.integers(0, 10, 30)
    frames = TimeIntervals(name="clip_presentations", description="by frame")
    frames.add_column(name="frame", description="number")
    for number, frame in enumerate(order):
        frames.add_row(start_time=5 + number / 25, stop_time=5 + (number + 1) / 25, frame=frame)
    found = load_nwb(presented(tmp_path / "b.nwb", clip, frames), axes="yx", **ABOUT)
    assert found.movie.rate == pytest.approx(25.0)
    np.testing.assert_array_equal(found.movie.frames, clip[order])
    with pytest.raises(CodeclensError, match="is a template, and there is no table"):
        load_nwb(presented(tmp_path / "c.nwb", clip, None), **ABOUT)


def test_messages_do_not_hold_the_word_none(tmp_path: Path, rng: np.random.Generator) -> None:
    place = written(tmp_path / "a.nwb", [film(rng), film(rng, "bars")], SPIKES)
    for options in ({}, {"stimulus": "nois"}, {"stimulus": "noise", "cells": []}):
        with pytest.raises(CodeclensError) as found:
            load_nwb(place, **ABOUT | options)
        assert "None" not in str(found.value)
