"""Any YAML as options, and any JSON as a store's metadata: read, or refused with one sentence."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import codeclens as cl
from codeclens.cli.config import SETTINGS
from codeclens.errors import CodeclensError

TEXT = st.text(st.characters(codec="utf-8", exclude_categories=("Cs",)), max_size=12)
SCALARS = st.one_of(
    *(st.none(), st.booleans(), st.integers(), st.floats(), TEXT, st.dates()),
    st.sampled_from(["0", "-1", "1e400", "nan", "~", "~x", "../..", "a,b", "64,32", "@blocks", ""]),
)
ANYTHING = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)
QUIETLY = settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


def sentence(error: CodeclensError) -> str:
    text = str(error)
    assert text.strip()
    assert "Traceback" not in text
    return text


@pytest.mark.parametrize("command", sorted(SETTINGS))
@QUIETLY
@given(data=st.data())
def test_any_options_are_read_or_refused(command: str, data: st.DataObject, tmp_path: Path) -> None:
    kind = SETTINGS[command]
    known = st.sampled_from(sorted(kind.model_fields))
    options = data.draw(st.dictionaries(known | TEXT, ANYTHING, max_size=4))
    section = data.draw(st.sampled_from([{command: options}, options]))
    file = tmp_path / "options.yaml"
    file.write_text(yaml.safe_dump(section, allow_unicode=True), encoding="utf-8")
    try:
        found = kind.resolve(None, file)
    except CodeclensError as error:
        sentence(error)
    else:
        assert isinstance(found, kind)


@QUIETLY
@given(content=st.binary(max_size=60) | TEXT.map(str.encode))
def test_any_file_of_options_is_read_or_refused(content: bytes, tmp_path: Path) -> None:
    file = tmp_path / "options.yaml"
    file.write_bytes(content)
    try:
        SETTINGS["demo"].resolve(None, file)
    except CodeclensError as error:
        sentence(error)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("store") / "c.zarr"
    model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.ReLU(), torch.nn.Linear(4, 2))
    with torch.random.fork_rng():
        cl.extract(model.eval(), torch.randn(6, 3), sites="1", to=path, method=cl.Conductance(1))
    return path


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The way to every value in nested dicts and lists, the whole first."""
    yield path
    if isinstance(value, dict):
        for key in value:
            yield from places(value[key], (*path, key))
    elif isinstance(value, list):
        for index in range(len(value)):
            yield from places(value[index], (*path, index))


def with_another(root: Any, place: tuple[Any, ...], value: Any) -> Any:
    if not place:
        return value
    changed = copy.deepcopy(root)
    here = changed
    for step in place[:-1]:
        here = here[step]
    here[place[-1]] = value
    return changed


@QUIETLY
@given(data=st.data())
def test_any_metadata_are_read_or_refused(store: Path, data: st.DataObject) -> None:
    file = store / "zarr.json"
    text = file.read_text(encoding="utf-8")
    root = json.loads(text)
    # Without their checksum, or every change would be refused for that alone.
    attributes = root["attributes"]
    (own,) = [name for name in attributes if "format" in (attributes[name] or {})]
    root["attributes"] = {own: attributes[own]}
    place = data.draw(st.sampled_from(list(places(attributes[own], ("attributes", own)))))
    value = data.draw(ANYTHING.filter(lambda v: "date" not in type(v).__name__))
    try:
        changed = with_another(root, place, value)
        file.write_text(json.dumps(changed, default=str), encoding="utf-8")
        try:
            found = cl.ContributionStore(store)
        except CodeclensError as error:
            sentence(error)
        else:
            assert repr(found)
    finally:
        file.write_text(text, encoding="utf-8")
    assert cl.ContributionStore(store).finished
