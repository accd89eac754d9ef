"""`codeclens demo` and `codeclens retina demo`: run a demonstration and print its findings."""

from __future__ import annotations

import time

from codeclens.cli.config import DemoSettings, RetinaSettings
from codeclens.cli.config_files import write_section
from codeclens.cli.terminal import say
from codeclens.demo.demo import run_demo
from codeclens.demo.retina_demo import run_retina_demo
from codeclens.demo.retina_page import refuse_others


def run_demonstration(settings: DemoSettings) -> None:
    """Run the demonstration; print its findings and the path of the report."""
    settings.to.mkdir(parents=True, exist_ok=True)
    write_section(settings.to, settings)
    path, findings = run_demo(settings.to, settings.quick, settings.seed)
    say("\n".join(findings))
    say(f"The report is {path.absolute()}")


def run_retina_demonstration(settings: RetinaSettings) -> None:
    """Run the retina demonstration; print its findings and the path of the report."""
    settings.to.mkdir(parents=True, exist_ok=True)
    refuse_others(settings.to)
    write_section(settings.to, settings)
    begun = time.monotonic()
    path, findings = run_retina_demo(settings.to, settings.quick, settings.seed)
    say("\n".join(findings))
    say(f"The report is {path.absolute()} ({time.monotonic() - begun:.0f} s)")
