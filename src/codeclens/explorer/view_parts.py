"""Parts that several views share: commands for what is missing, samples, numbers in addresses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from codeclens.errors import CodeclensError
from codeclens.explorer.run_folder import RunFolder

View = dict[str, Any]

# What each part of the explorer needs, and which command makes it.
COMMANDS = {
    "modes": "codeclens decompose {store} --to {run}/modes",
    "flow": "codeclens analyze {store} --modes {run}/modes --flow --to {run}/analysis",
    "control": "codeclens control {store} --modes {run}/modes --to {run}/control",
    "effects": "codeclens gallery {store} --modes {run}/modes --to {run}/gallery",
    "analysis": "codeclens analyze {store} --modes {run}/modes --to {run}/analysis",
}


def command(run: RunFolder, part: str) -> str:
    """The command that makes a part of a run that is not there."""
    path = run.store.path
    folder = path.parent if isinstance(path, Path) else Path("run")
    return COMMANDS[part].format(store=path, run=folder)


def about_sample(run: RunFolder, row: int) -> View:
    """What is known of a sample: its key, label and prediction."""
    store = run.store
    label, prediction = int(store.label[row]), int(store.prediction[row])
    return {
        "key": str(store.key[row]),
        "label": run.class_name(label),
        "prediction": run.class_name(prediction) if predicts_classes(run) else None,
        "output": prediction,
        "right": label == prediction if label >= 0 and predicts_classes(run) else None,
    }


def predicts_classes(run: RunFolder) -> bool:
    return not run.store.metadata.get("own_classes")


def whole_number(text: str, what: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 9):
        raise CodeclensError(f'"{text[:40]}" is not the number of a {what}.')
    return int(text)
