"""The trainer: it learns, is honest about held-out time, repeatable, and resumes to the bit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from codeclens import CodeclensError
from codeclens.retina import LN, LNLN, Fit, FitEpoch, Movie, Recording, RetinaCNN, fit
from codeclens.retina.evaluation import correlation
from codeclens.retina.fit import roughness
from codeclens.retina.splits import held_out_blocks

ABOUT: dict = {"rate": 50.0, "pixel": 30.0, "unit": "um"}


@pytest.fixture(scope="module")
def recording() -> Recording:
    """Two cells, each rectifying a spot with a delay."""
    generator = torch.Generator().manual_seed(0)
    movie = Movie(torch.randn(1200, 7, 7, generator=generator), **ABOUT)
    filtered = F.conv1d(movie.frames.flatten(1).T[:, None], torch.tensor([[[0.2, 0.6, 1.0]]]))
    filtered = F.pad(filtered, (2, 0))[:, 0].view(7, 7, -1)
    rates = 10 * torch.stack([filtered[2:4, 2:4].mean((0, 1)), -filtered[4, 4]], dim=1).relu()
    return Recording(movie, rates, ["on", "off"])


def cnn(**changed: object) -> RetinaCNN:
    options: dict = {"history": 4, "size": (7, 7), "kernels": (3, 3), "channels": (4, 4), **ABOUT}
    return RetinaCNN(["on", "off"], **options | changed)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"epochs": 0}, r"epochs \(=0\) must be a whole number at least 1"),
        ({"epochs": 1.5}, r"epochs \(=1.5\)"),
        ({"batch_size": 0}, r"batch_size \(=0\) must be a whole number at least 2"),
        ({"batch_size": 1}, r"batch_size \(=1\)"),
        ({"patience": 0}, r"patience \(=0\) .* at least 1; or None"),
        ({"seed": -1}, r"seed \(=-1\)"),
        ({"seed": "one"}, r"seed \(='one'\)"),
        ({"lr": float("nan")}, r"lr \(=nan\) must be above 0"),
        ({"lr": 0}, r"lr \(=0\)"),
        ({"lr": -1e-3}, r"lr \(=-0.001\)"),
        ({"weight_decay": -1}, r"weight_decay \(=-1\) must be at least 0"),
        ({"activity_l1": -1}, r"activity_l1 \(=-1\)"),
        ({"activity_l1": None}, r"activity_l1 \(=None\)"),
    ],
)
def test_settings_are_checked_before_anything_is_computed(
    recording: Recording, change: dict, says: str
) -> None:
    def stop(epoch: FitEpoch) -> None:
        raise AssertionError(f"epoch {epoch} was computed")

    model = cnn()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with pytest.raises(CodeclensError, match=says):
        quick(model, recording, progress=stop, **change)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_a_file_is_no_folder(recording: Recording, tmp_path: Path) -> None:
    file = tmp_path / "mine"
    file.write_text("mine")
    for to in (file, file / "below"):
        with pytest.raises(CodeclensError, match='mine" is a file'):
            quick(cnn(), recording, to=to)
    assert file.read_text() == "mine"


def test_settings_of_numpy_are_taken(recording: Recording, tmp_path: Path) -> None:
    given = {"epochs": np.int64(1), "seed": np.int32(0), "lr": np.float32(1e-3)}
    assert len(quick(cnn(), recording, to=tmp_path, **given).curve.epoch) == 1


def quick(model: object, recording: Recording, **changed: object) -> Fit:
    options: dict = {"epochs": 3, "batch_size": 64, "blocks": 2, "held_out": 0.2} | changed
    return fit(model, recording, **options)


def test_it_learns(recording: Recording) -> None:
    found = quick(cnn(), recording, epochs=25, lr=5e-3)
    assert (found.r > 0.8).all(), found.r.values
    assert list(found.r.cell.values) == ["on", "off"]
    assert float(found.curve.loss[-1]) < float(found.curve.loss[0])
    assert not found.model.training
    assert "held-out r" in repr(found)
    assert len(repr(found).splitlines()) <= 20
    labelled = found.to_xarray()
    assert labelled.attrs["best_epoch"] == found.best_epoch
    assert np.array_equal(labelled.r, found.r)
    assert list(found.to_dataframe().columns) == ["cell", "r"]
    assert "<table" in found._repr_html_()


def test_an_ln_model_finds_its_filter(recording: Recording) -> None:
    model = LN(["on", "off"], history=4, size=(7, 7), **ABOUT)
    quick(model, recording, method="adam", epochs=40, lr=1e-2)
    weight = model.potential.weight.detach()
    assert weight[1].abs().flatten().argmax() == weight[1].flatten().argmin(), "an off cell"
    spot = weight[1, -1].abs().flatten().argmax()
    assert divmod(int(spot), 7) == (4, 4)
    assert (weight[1, 1:, 4, 4].diff() < 0).all(), "the newest frame counts most"


def test_r_is_that_of_the_held_out_windows(recording: Recording) -> None:
    found = quick(cnn(), recording)
    rows = held_out_blocks(1197, share=0.2, blocks=2, gap=4).held_out
    answers = found.model.respond(recording.movie)[rows].numpy()
    wanted = recording.targets(4)[rows].numpy()
    for cell in range(2):
        r = np.corrcoef(answers[:, cell], wanted[:, cell])[0, 1]
        assert float(found.r[cell]) == pytest.approx(r, abs=1e-5)


def test_no_training_window_touches_held_out_time(recording: Recording) -> None:
    """What is measured in held-out blocks does not change the weights."""
    rows = held_out_blocks(1197, share=0.2, blocks=2, gap=4).held_out
    changed = recording.rates.clone()
    changed[rows + 3] += 100.0
    frames = recording.movie.frames.clone()
    for row in rows.tolist():
        frames[row : row + 4] = 0.0
    other = Recording(Movie(frames, **ABOUT), changed, recording.cells)
    # Always the last epoch: with patience None the best would still be chosen by held-out r.
    states = []
    for one in (recording, other):
        model = cnn()
        last: list[dict] = []

        def keep(epoch: FitEpoch, model: RetinaCNN = model, last: list = last) -> None:
            last.append({k: v.clone() for k, v in model.state_dict().items()})

        quick(model, one, progress=keep, epochs=2)
        states.append(last[-1])
    assert all(torch.equal(states[0][key], states[1][key]) for key in states[0])


def test_another_recording_may_be_held_out(recording: Recording) -> None:
    train, test = recording.between(0, 18), recording.between(18, 24)
    found = quick(cnn(), train, held_out=test)
    answers = found.model.respond(test.movie).numpy()
    r = np.corrcoef(answers[:, 0], test.targets(4)[:, 0].numpy())[0, 1]
    assert float(found.r[0]) == pytest.approx(r, abs=1e-5)


def test_the_best_epoch_is_kept_and_patience_ends_it(recording: Recording) -> None:
    found = quick(cnn(), recording, epochs=40, lr=0.1, patience=2)
    curve = found.curve.r.values
    assert found.best_epoch == int(curve.argmax()) + 1
    assert len(curve) == min(40, found.best_epoch + 2)
    assert float(found.r.mean()) == pytest.approx(curve.max(), abs=1e-6)
    rows = held_out_blocks(1197, share=0.2, blocks=2, gap=4).held_out
    answers = found.model.respond(recording.movie)[rows]
    again = correlation(answers, recording.targets(4)[rows])
    assert float(again.mean()) == pytest.approx(curve.max(), abs=1e-5), "the best is kept"
    assert found.best_epoch < len(curve)


def test_a_seed_repeats_it_and_leaves_the_global_state(recording: Recording) -> None:
    before = torch.get_rng_state()
    once, again = (quick(cnn(noise=0.5), recording, seed=3) for _ in range(2))
    assert torch.equal(before, torch.get_rng_state())
    assert np.array_equal(once.curve.loss, again.curve.loss)
    for a, b in zip(once.model.parameters(), again.model.parameters(), strict=True):
        assert torch.equal(a, b)
    other = quick(cnn(noise=0.5), recording, seed=4)
    assert not np.array_equal(once.curve.loss, other.curve.loss)


class KilledError(Exception):
    """As if the machine went down."""


def test_it_resumes_to_the_bit(recording: Recording, tmp_path: Path) -> None:
    whole = quick(cnn(noise=0.3), recording, epochs=5)

    def kill(epoch: FitEpoch) -> None:
        if epoch.epoch == 2:
            raise KilledError

    with pytest.raises(KilledError):
        quick(cnn(noise=0.3), recording, epochs=5, to=tmp_path, progress=kill)
    told: list[int] = []
    model = cnn(noise=0.3)
    rest = quick(
        model, recording, epochs=5, to=tmp_path, progress=lambda epoch: told.append(epoch.epoch)
    )
    assert told == [3, 4, 5]
    assert np.array_equal(whole.curve.loss, rest.curve.loss)
    assert np.array_equal(whole.r, rest.r)
    for a, b in zip(whole.model.state_dict().values(), model.state_dict().values(), strict=True):
        assert torch.equal(a, b)
    assert whole.best_epoch == rest.best_epoch
    with pytest.raises(CodeclensError, match="another run: lr"):
        quick(cnn(noise=0.3), recording, epochs=5, to=tmp_path, lr=1e-4)


def test_activity_l1_and_weight_decay_hold_back(recording: Recording) -> None:
    def loudness(**changed: float) -> tuple[float, float]:
        model = LNLN(["on", "off"], history=4, size=(7, 7), kernel=3, **ABOUT)
        quick(model, recording, method="adam", epochs=8, lr=1e-2, **changed)
        return float(model.respond(recording.movie).mean()), float(
            model.filters.weight.detach().norm()
        )

    plain, quiet, small = loudness(), loudness(activity_l1=0.5), loudness(weight_decay=3.0)
    assert quiet[0] < 0.9 * plain[0]
    assert small[1] < 0.9 * plain[1]


def test_a_model_that_predicts_the_next_frame_is_given_it(recording: Recording) -> None:
    late = Recording(recording.movie, torch.roll(recording.rates, 1, 0), recording.cells)
    found = quick(cnn(ahead=-1), late, epochs=15, lr=5e-3)
    assert (found.r > 0.7).all(), found.r.values


def test_inputs_that_do_not_fit_are_reported(recording: Recording) -> None:
    with pytest.raises(CodeclensError, match="same ones in the same order"):
        fit(RetinaCNN(["off", "on"], history=4, size=(7, 7), kernels=(3, 3), **ABOUT), recording)
    with pytest.raises(CodeclensError, match="60"):
        fit(cnn(rate=60.0), recording)
    with pytest.raises(CodeclensError, match="lower the learning rate"):
        quick(LN(["on", "off"], history=4, size=(7, 7), **ABOUT), recording, method="adam", lr=1e30)


def test_lbfgs_finds_the_filters_that_made_the_rates() -> None:
    """Poisson counts of a known LN model: filters, gains and the loss of the truth are reached."""
    generator = torch.Generator().manual_seed(1)
    movie = Movie(torch.randn(24000, 3, 3, generator=generator), **ABOUT)
    truth = LN(["on", "off"], history=4, size=(3, 3), **ABOUT)
    filters = torch.zeros(2, 4, 3, 3)
    filters[0, 1:, 1, 1] = torch.tensor([0.2, 0.6, 0.4])
    filters[1, 2:, 0, 2] = torch.tensor([-0.5, -0.8])
    truth.start(filters)
    truth.output.gain.copy_(torch.tensor([30.0, 60.0]))
    rates = truth.respond(movie)
    counts = torch.poisson(rates / 50.0, generator=generator)
    recording = Recording.from_counts(
        Movie(movie.frames[3:], **ABOUT), counts, ["on", "off"]
    )  # fmt: skip
    recording = Recording(movie, torch.cat([torch.zeros(3, 2), recording.rates]), ["on", "off"])
    model = LN(["on", "off"], history=4, size=(3, 3), **ABOUT)
    found = fit(model, recording, blocks=2, held_out=0.2)
    for cell in range(2):
        got, wanted = model.potential.weight[cell].detach(), filters[cell]
        assert float(F.cosine_similarity(got.flatten(), wanted.flatten(), dim=0)) > 0.97
    agreement = correlation(model.respond(movie), rates)
    assert float(agreement.min()) > 0.97
    by_adam = LN(["on", "off"], history=4, size=(3, 3), **ABOUT)
    other = fit(by_adam, recording, method="adam", epochs=5, lr=1e-2, blocks=2, held_out=0.2)
    assert float(found.r.mean()) > float(other.r.mean()) - 0.005
    assert set(found.r.smooth.values) <= {1e-2, 3e-3, 1e-3, 3e-4, 1e-4, 0.0}
    assert "smooth" in found.to_dataframe()


def test_each_cell_of_an_ln_model_has_its_own_smoothness(recording: Recording) -> None:
    """Cells share no parameter: fitted together or alone they come to the same filters."""
    both = LN(["on", "off"], history=4, size=(7, 7), **ABOUT)
    found = fit(both, recording, smooth=(1e-1, 0.0), held_out=0.2, blocks=2)
    for cell, name in enumerate(("on", "off")):
        one = LN([name], history=4, size=(7, 7), **ABOUT)
        part = Recording(recording.movie, recording.rates[:, cell : cell + 1], [name])
        alone = fit(one, part, smooth=(1e-1, 0.0), held_out=0.2, blocks=2)
        assert float(alone.r.smooth[0]) == float(found.r.smooth[cell])
        assert float(alone.r[0]) == pytest.approx(float(found.r[cell]), abs=5e-3)


def test_a_prior_makes_filters_smooth(recording: Recording) -> None:
    rough = []
    for strength in (0.0, 1.0):
        model = LN(["on", "off"], history=4, size=(7, 7), **ABOUT)
        fit(model, recording, smooth=(strength,), held_out=0.2, blocks=2)
        weight = model.potential.weight.detach()
        rough.append(float(roughness(weight) / weight.square().sum()))
    assert rough[1] < 0.5 * rough[0]


def test_lbfgs_takes_subunits_low_ranks_and_full_field_light(recording: Recording) -> None:
    for model in (
        LN(["on", "off"], rank=1, history=4, size=(7, 7), **ABOUT),
        LNLN(["on", "off"], channels=3, kernel=3, history=4, size=(7, 7), **ABOUT),
    ):
        found = fit(model, recording, smooth=(1e-3,), held_out=0.2, blocks=2)
        assert float(found.r.min()) > 0.5, found.r.values
    light = Movie(recording.movie.frames.mean((1, 2), keepdim=True), **ABOUT)
    rates = (300 * light.frames[:, :, 0]).relu().roll(1, 0)
    model = LNLN(["on"], history=4, size=(1, 1), **ABOUT)
    found = fit(model, Recording(light, rates, ["on"]), held_out=0.2, blocks=2)
    assert float(found.r[0]) > 0.9


def test_lbfgs_resumes_to_the_bit(recording: Recording, tmp_path: Path) -> None:
    def made() -> LN:
        return LN(["on", "off"], history=4, size=(7, 7), **ABOUT)

    def kill(epoch: FitEpoch) -> None:
        if epoch.epoch == 2:
            raise KilledError

    options: dict = {"smooth": (1e-2, 1e-3, 0.0), "held_out": 0.2, "blocks": 2}
    whole = fit(made(), recording, **options)
    with pytest.raises(KilledError):
        fit(made(), recording, to=tmp_path, progress=kill, **options)
    rest = fit(made(), recording, to=tmp_path, **options)
    assert np.array_equal(whole.r, rest.r)
    assert np.array_equal(whole.curve.loss, rest.curve.loss)
    for a, b in zip(
        whole.model.state_dict().values(), rest.model.state_dict().values(), strict=True
    ):
        assert torch.equal(a, b)


def test_models_that_lbfgs_cannot_fit_are_reported(recording: Recording) -> None:
    with pytest.raises(CodeclensError, match="batch norms"):
        quick(cnn(), recording, method="lbfgs")
    with pytest.raises(CodeclensError, match='no method "newton"'):
        quick(cnn(), recording, method="newton")
    model = LN(["on", "off"], history=4, size=(7, 7), **ABOUT)
    with pytest.raises(CodeclensError, match=r"smooth \(=-1\)"):
        fit(model, recording, smooth=(-1,))
    with pytest.raises(CodeclensError, match="one or more strengths"):
        fit(model, recording, smooth=())
