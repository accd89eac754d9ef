"""The command line itself: help, versions, exit codes, and what becomes of mistakes."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import warnings
from collections.abc import Callable

import pytest

import codeclens
from codeclens.cli import app as cli
from codeclens.cli import main
from codeclens.errors import CodeclensError

COMMANDS = ("demo", "extract", "decompose", "analyze", "explore", "report", "doctor")
Told = Callable[..., tuple[int, str, str]]


def test_help_names_every_command(told: Told) -> None:
    code, out, _ = told("--help")
    assert code == 0
    assert all(command in out for command in COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command: str, told: Told) -> None:
    code, out, err = told(command, "--help")
    assert (code, err) == (0, "")
    assert f"Usage: codeclens {command}" in out
    flags = {"extract": ("--sites", "--strict", "--config", "--debug"), "decompose": ("STORE",)}
    assert all(flag in out for flag in flags.get(command, ()))


def loaded_by(code: str) -> list[str]:
    program = f"import os, sys; {code}; print(*(m for m in ('torch', 'numpy') if m in sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    return done.stdout.split("\n")[-2].split()


def test_help_waits_for_no_torch() -> None:
    assert loaded_by("from codeclens.cli import app; app.run(['--help'])") == []


def test_threads_wait_idly_before_torch_is_loaded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: dict[str, object] = {}

    def run(arguments: list[str]) -> int:
        seen["policy"] = os.environ.get("OMP_WAIT_POLICY")
        return 0

    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    monkeypatch.setattr("codeclens.cli.app.run", run)
    with pytest.raises(SystemExit):
        main([])
    assert seen["policy"] == "PASSIVE"
    assert loaded_by("import codeclens.cli") == [], "too late once torch is there"


def test_version(told: Told) -> None:
    assert told("--version") == (0, f"{codeclens.__version__}\n", "")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["extrct"], 'Unknown command "extrct". Did you mean "extract"?'),
        (["extract", "--setps", "3"], "Unknown option: --setps. Did you mean --steps?"),
        (["extract", "--steps", "0"], "steps (='0') should be greater than or equal to 1."),
        (["extract", "--steps", "ten"], "steps (='ten') should be a valid integer"),
        (["extract", "--size", "top"], "size (='top')"),
        (["extract", "--model"], "requires an argument"),
        (["extract"], "codeclens extract needs a model: pass --model NAME"),
        (["extract", "--model", "m"], "codeclens extract needs images: pass --images FOLDER"),
        (["decompose", "--to", "m"], "needs a store of contributions: codeclens decompose STORE"),
        (["decompose", "s", "t"], 'Unexpected argument "t"'),
        (
            ["decompose", "s", "--method", "tsne", "--to", "m"],
            'There is no method "tsne"; the nearest names are',
        ),
        (["report", "s"], "needs a place for its result: pass --to FILE.html"),
        (["analyze", "s", "--config", "none.yaml"], "There is no configuration file none.yaml"),
    ],
)
def test_a_mistake_is_one_sentence_and_exit_code_2(
    arguments: list[str], message: str, told: Told
) -> None:
    code, out, err = told(*arguments)
    assert (code, out) == (2, "")
    assert message in err
    assert err.startswith("codeclens")
    assert not err.startswith("codeclens: codeclens")
    assert err.count("\n") == 1


def failing(error: BaseException) -> Callable[[], None]:
    def command() -> None:
        raise error

    return command


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], None]], None]:
    """Put a function in the place of what `doctor` does."""

    def put(function: Callable[[], None]) -> None:
        monkeypatch.setattr("codeclens.cli.doctor_command.run_doctor", lambda json: function())

    return put


def test_debug_shows_where_a_mistake_was_found(told: Told, command: Callable[..., None]) -> None:
    command(failing(CodeclensError("No such\n  thing.")))
    assert told("doctor") == (2, "", "codeclens: No such thing.\n")
    code, _, err = told("doctor", "--debug")
    assert code == 2
    assert "Traceback" in err
    assert err.endswith("codeclens: No such thing.\n")


def test_a_full_disk_is_reported_in_one_sentence(told: Told, command: Callable[..., None]) -> None:
    command(failing(OSError(errno.ENOSPC, "No space left on device", "run/x")))
    code, _, err = told("doctor")
    assert code == 2
    assert err.startswith("codeclens: No space left on device (run/x). ")


def test_an_interruption_is_no_traceback(told: Told, command: Callable[..., None]) -> None:
    command(failing(KeyboardInterrupt()))
    code, _, err = told("doctor")
    assert code == 130
    assert err.startswith("codeclens: Interrupted; results already written are kept. Run the same")


def test_an_error_of_the_library_itself_is_raised(command: Callable[..., None]) -> None:
    command(failing(ZeroDivisionError("a bug")))
    with pytest.raises(ZeroDivisionError):
        cli.run(["doctor"])


def test_warnings_are_one_line(told: Told, command: Callable[..., None]) -> None:
    command(lambda: warnings.warn("Mind the gap.", UserWarning, stacklevel=1))
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        assert told("doctor") == (0, "", "codeclens: warning: Mind the gap.\n")


def test_main_leaves_with_the_exit_code(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(["extrct"])
    assert left.value.code == 2
    assert "extrct" in capsys.readouterr().err
