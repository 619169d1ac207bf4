"""The checks of the pool's network in words: no code of a protocol, in any language."""

from __future__ import annotations

import grpc
import pytest

from hivemind_worker.model.vpn import Rung, RungResult, RungState
from hivemind_worker.places import resources
from hivemind_worker.presentation.catalogue import LANGUAGES, use_language
from hivemind_worker.presentation.network_words import check_rows
from hivemind_worker.presentation.vpn import rung_row, rung_words


def service(status: str) -> RungResult:
    return RungResult(rung=Rung.SERVICE, state=RungState.PASSED, fields=(("status", status),))


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("status", [status.name for status in grpc.StatusCode])
def test_what_a_pool_answers_is_told_in_words_and_not_by_its_status(status: str, language: str) -> None:
    use_language(resources() / "locale", language)
    try:
        rows = [str(value) for row in check_rows((service(status),)) for value in row]
        told = [*rung_words(service(status)), *map(str, rung_row(service(status)).values()), *rows]
    finally:
        use_language(resources() / "locale", "en")
    assert not [text for text in told if status in text or "_" in text.replace(Rung.SERVICE.value, "")]


def test_the_words_say_what_to_do_where_something_is_to_be_done() -> None:
    said = {
        status: rung_words(service(status))[1]
        for status in ("OK", "UNAUTHENTICATED", "UNIMPLEMENTED", "INTERNAL")
    }
    assert said == {
        "OK": "answers",
        "UNAUTHENTICATED": "answers, and asks for a login",
        "UNIMPLEMENTED": "answers, but not as a pool: ask its owner",
        "INTERNAL": "answers with an error: tell its owner",
    }
    for status, words in said.items():
        assert rung_words(service(status))[1] == words
