"""Settings files of any bytes: settings or BAD_SETTINGS_FILE, never an exception; what is saved can be read.

Found cases lie in corpus/settings; those whose name begins with "good" are settings.
"""

from __future__ import annotations

import math
import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hivemind_worker.model.faults import FaultCode, sentence
from hivemind_worker.model.settings import Settings, apply, rows
from hivemind_worker.model.task import Problem
from hivemind_worker.store.settings_file import load, save

CORPUS = sorted((Path(__file__).parent / "corpus" / "settings").iterdir())
NAMES = [row.name for row in rows()]
LONGEST_WORDS = 2000
KEYS = st.one_of(st.sampled_from(NAMES), st.text("abc_-.\"'é", min_size=1, max_size=8))
TEXTS = st.text(max_size=20)
SCALARS = st.one_of(
    st.integers(-(2**70), 2**70).map(str),
    st.floats().map(repr),
    st.sampled_from(["true", "false", "nan", "-inf", "1e999", "0x" + "f" * 5000, "9" * 5000, "1979-05-27",
                     "07:32:00", "1979-05-27T07:32:00Z", "''", '"""a\nb"""', '"\\uD800"', '"\\u007f"']),
    TEXTS.map(lambda text: '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'),
)  # fmt: skip
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda items: "[" + ",".join(items) + "]"),
        st.dictionaries(st.sampled_from("abc"), inner, max_size=2).map(
            lambda table: "{" + ",".join(f"{key}={value}" for key, value in table.items()) + "}"
        ),
    ),
    max_leaves=5,
)
LINES = st.one_of(
    st.tuples(KEYS, VALUES).map(" = ".join),
    KEYS.map("[{}]".format), KEYS.map("[[{}]]".format), TEXTS.map("# {}".format), TEXTS,
)  # fmt: skip
quick = settings(max_examples=300, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow])


def check(content: bytes) -> Settings | Problem:
    """The file through the front door; it stays as it was."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "settings.toml"
        path.write_bytes(content)
        found = load(path)
        assert path.read_bytes() == content
    if isinstance(found, Problem):
        assert found.code is FaultCode.BAD_SETTINGS_FILE
        words = sentence(found.code, found.about)
        assert len(words) <= LONGEST_WORDS
        words.encode("utf-8")
        return found
    made, problems = apply(Settings(), found)
    assert problems == ()
    for row in rows():
        value = getattr(made, row.name)
        assert type(value) is type(row.default)
        assert not isinstance(value, float) or math.isfinite(value)
    return made


@given(st.lists(LINES, max_size=8).map("\n".join))
@quick
def test_lines_of_any_kind_are_settings_or_a_problem(text: str) -> None:
    check(text.encode("utf-8", "surrogatepass"))


@given(st.binary(max_size=400))
@quick
def test_noise_is_settings_or_a_problem(content: bytes) -> None:
    check(content)


@given(st.data())
@quick
def test_a_damaged_file_is_settings_or_a_problem(data: st.DataObject) -> None:
    content = bytearray(b'node_port = 6000\nregion = "Europe"\nnode_id = "a \\u00e9"\nmax_cpu_cores = 1.5\n')
    for _ in range(data.draw(st.integers(1, 5))):
        place = data.draw(st.integers(0, len(content) - 1))
        content[place : place + data.draw(st.integers(0, 2))] = data.draw(st.binary(max_size=3))
        content = content or bytearray(b"x")
    check(bytes(content))


@given(
    st.dictionaries(
        st.sampled_from(NAMES),
        st.one_of(
            st.text(st.characters(), max_size=20), st.integers(), st.floats(), st.booleans(), st.none(),
            st.binary(max_size=8).map(os.fsdecode),
            st.sampled_from(["Europe", "wasm", "127.0.0.1:1", "a\x7fb", "\udcff"]),
        ),
        max_size=5,
    )
)  # fmt: skip
@quick
def test_what_is_saved_is_read_again_and_what_is_refused_changes_nothing(values: dict[str, object]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "settings.toml"
        path.write_bytes(b"node_port = 6000\n")
        problem = save(path, values)
        found = load(path)
        assert os.listdir(folder) == ["settings.toml"]  # noqa: PTH208
    assert not isinstance(found, Problem), found.about
    if problem is not None:
        assert found == {"node_port": 6000}
        assert problem.code is FaultCode.BAD_SETTING
    else:
        made, _ = apply(Settings(), values)
        assert found == {name: getattr(made, name) for name in values}


@pytest.mark.parametrize("found", CORPUS, ids=lambda path: path.name)
def test_what_was_found_before_stays_mended(found: Path) -> None:
    verdict = check(found.read_bytes())
    assert isinstance(verdict, Settings) == found.name.startswith("good"), verdict


def test_a_settings_file_that_is_a_pipe_or_a_folder_is_a_problem_at_once(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    for name in ("folder", "pipe"):
        found = load(tmp_path / name)
        assert isinstance(found, Problem) and found.code is FaultCode.BAD_SETTINGS_FILE
