"""Provenance: what was asked, of which model and data, with which versions, in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from codeclens.extraction import ContributionStore
from codeclens.report.completeness import gap_sentence, gaps
from codeclens.report.document import Block, Facts, Section, Text
from codeclens.report.words import Cell, counted

_SHOWN_SKIPPED = 10
_SHOWN_DIGITS = 16


def provenance_section(
    store: ContributionStore, more: Sequence[tuple[str, Cell]] = (), notes: Sequence[str] = ()
) -> Section:
    """The section that says where the numbers of a page come from; `more` facts come last."""
    settings = store.metadata["settings"]
    facts: list[tuple[str, Cell]] = [
        ("model", model_words(settings["model"])),
        ("data", data_words(settings["data"])),
        ("samples", samples_words(store)),
        ("sites", ", ".join(f"`{site}`" for site in store.sites)),
        ("method", f"`{call_words(settings['method'])}`"),
        ("target", f"{target_words(settings['target'])}, `{call_words(settings['target'])}`"),
        ("baseline", f"`{call_words(settings['baseline'])}`"),
        ("completeness", gap_sentence(gaps(store))),
        ("extracted", store.metadata["created"]),
        ("versions", versions_words(store.metadata["versions"])),
        *more,
    ]
    skipped = [f"`{key}` was skipped: {reason}." for key, reason in store.skipped[:_SHOWN_SKIPPED]]
    if len(store.skipped) > _SHOWN_SKIPPED:
        skipped.append(f"{len(store.skipped) - _SHOWN_SKIPPED:,} more samples were skipped.")
    blocks: list[Block | Section] = [
        Facts(facts),
        *(Text(note, "small") for note in (*skipped, *notes)),
    ]
    return Section("Where the numbers come from", blocks)


def samples_words(store: ContributionStore) -> str:
    """How many samples there are, how many were skipped, and how many have labels."""
    labelled = int((store.label >= 0).sum())
    text = f"{len(store):,}"
    if store.skipped:
        text += f", and {len(store.skipped):,} that could not be used"
    if not store.finished:
        text += "; the extraction is not finished"
    if labelled < len(store):
        text += f"; {labelled:,} have a label" if labelled else "; none has a label"
    return text


def model_words(model: Mapping[str, Any]) -> str:
    """The model's class, and the beginning of the digest over its weights."""
    return f"{model['class']}, state `{str(model['state'])[:_SHOWN_DIGITS]}…`"


def data_words(data: Mapping[str, Any]) -> str:
    """The kind of data and what tells it apart from others.

    >>> data_words({"kind": "array", "samples": 5000, "shape": [5000, 1, 28, 28], "content": "ab"})
    'array of 5,000 samples, 1 × 28 × 28, content `ab…`'
    """
    text = f"{data['kind']} of {counted(data['samples'], 'sample')}"
    if "shape" in data:
        text += f", {' × '.join(str(size) for size in data['shape'][1:])}"
    for name in ("content", "pixels", "files"):
        if name in data:
            return f"{text}, {name} `{str(data[name])[:_SHOWN_DIGITS]}…`"
    return text


def target_words(target: Any) -> str:
    """What is explained.

    >>> target_words({"class": "Output", "index": 3, "of": "logits"})
    'the logit of output 3'
    """
    if not isinstance(target, Mapping):
        return "a function of the output"
    scale = {"logits": "logit", "probabilities": "probability"}.get(target.get("of", ""), "value")
    of = {
        "Predicted": "the class that the network predicts",
        "Label": "the class that the label names",
        "Output": f"output {target.get('index')}",
    }.get(str(target.get("class")), "the target")
    return f"the {scale} of {of}"


def call_words(description: Any) -> str:
    """A described object as the call that makes it.

    >>> call_words({"class": "Conductance", "steps": 10, "rule": "left"})
    "Conductance(steps=10, rule='left')"
    """
    if not isinstance(description, Mapping):
        return str(description)
    options = ", ".join(f"{k}={v!r}" for k, v in description.items() if k != "class")
    return f"{description.get('class', 'a function')}({options})"


def versions_words(versions: Mapping[str, str]) -> str:
    """Packages with their versions."""
    return ", ".join(f"{name} {number}" for name, number in versions.items())
