"""One catalogue: read as gettext's tools write it, chosen as the system or the owner says, whole."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from hivemind_worker.machine.language import system_languages
from hivemind_worker.presentation.catalogue import LANGUAGES, PSEUDO, Catalogue
from hivemind_worker.presentation.po_file import Entry, PoTexts, entries
from tests.contract.message_sources import KEYWORDS, LOCALE, SOURCES, messages, renewed

HEADER = 'msgid ""\nmsgstr ""\n"Content-Type: text/plain; charset=utf-8\\n"\n'
POLISH = (
    HEADER + '"Plural-Forms: nplurals=3; plural=(n==1 ? 0 : n%10>=2 && n%10<=4 ? 1 : 2);\\n"\n\n'
    '# a remark\n#: app/x.py:3\nmsgid "{count} task"\nmsgid_plural "{count} tasks"\n'
    'msgstr[0] "{count} zadanie"\nmsgstr[1] "{count} zadania"\nmsgstr[2] "{count} zadań"\n\n'
    'msgid ""\n"A \\"long\\" "\n"sentence.\\n"\nmsgstr "Długie\\tzdanie.\\n"\n\n'
    'msgid "Not yet"\nmsgstr ""\n\n#, fuzzy\nmsgid "Doubtful"\nmsgstr "Na pewno"\n'
)


def test_a_translation_is_read_with_its_plurals_escapes_and_long_lines() -> None:
    texts = PoTexts(POLISH)
    counted = [texts.ngettext("{count} task", "{count} tasks", n) for n in (1, 3, 5, 22)]
    assert counted == ["{count} zadanie", "{count} zadania", "{count} zadań", "{count} zadania"]
    assert texts.gettext('A "long" sentence.\n') == "Długie\tzdanie.\n"


def test_what_is_not_translated_or_doubtful_stays_english() -> None:
    texts = PoTexts(POLISH)
    assert [texts.gettext(text) for text in ("Not yet", "Doubtful", "Unknown")] == [
        "Not yet", "Doubtful", "Unknown",
    ]  # fmt: skip
    assert texts.ngettext("{count} day", "{count} days", 2) == "{count} days"


@pytest.mark.parametrize("text", ['msgid "a\nmsgstr "b"', 'hello "x"', '"text before its keyword"'])
def test_a_file_that_is_not_of_the_format_is_refused_with_its_line(text: str) -> None:
    with pytest.raises(ValueError, match="line 1"):
        list(entries(text))


def catalogue(tmp_path: Path, language: str = "", *system: str) -> Catalogue:
    (tmp_path / "zh_TW.po").write_text(f'{HEADER}\nmsgid "Pause"\nmsgstr "暫停"\n', encoding="utf-8")
    made = Catalogue()
    made.use(tmp_path, language, system)
    return made


@pytest.mark.parametrize(
    ("system", "word"),
    [
        (("zh_TW.UTF-8",), "暫停"),
        (("zh-Hant-HK",), "暫停"),
        (("zh_HK",), "暫停"),
        (("zh_CN.UTF-8",), "Pause"),  # other letters: English is the better guess
        (("de_DE.UTF-8", "zh_TW"), "暫停"),
        (("en_GB.UTF-8", "zh_TW"), "Pause"),
        (("C",), "Pause"),
        ((), "Pause"),
    ],
)
def test_without_a_setting_the_first_of_the_systems_languages_that_there_is(
    tmp_path: Path, system: tuple[str, ...], word: str
) -> None:
    assert catalogue(tmp_path, "", *system).one("Pause") == word


def test_the_owners_choice_wins_over_the_system(tmp_path: Path) -> None:
    assert catalogue(tmp_path, "en", "zh_TW").one("Pause") == "Pause"
    assert catalogue(tmp_path, "zh_TW", "en_GB").one("Pause") == "暫停"


def test_a_field_is_filled_in_once_and_never_looked_at_again(tmp_path: Path) -> None:
    made = catalogue(tmp_path)
    assert made.one("{a} and {b}, {c}", a="{b}", b=2) == "{b} and 2, {c}"
    assert made.one("") == ""


def test_the_pseudo_language_marks_and_lengthens_every_sentence_but_not_its_fields(tmp_path: Path) -> None:
    made = catalogue(tmp_path, PSEUDO)
    said = made.one("Connected to {pool}. Waiting for work.", pool="riverside")
    assert said.startswith("⟦Cõññéçtéd tõ")
    assert said.endswith("⟧")
    assert "riverside" in said
    assert len(said) >= 1.25 * len("Connected to riverside. Waiting for work.")
    assert made.many("{count} task", "{count} tasks", 2).startswith("⟦2 tàškš")


@pytest.mark.parametrize(
    ("environment", "languages"),
    [
        ({"LANG": "zh_TW.UTF-8"}, ("zh_TW.UTF-8",)),
        ({"LC_ALL": "de_DE", "LANG": "zh_TW"}, ("de_DE",)),
        ({"LANGUAGE": "zh_TW:en", "LANG": "en_US.UTF-8"}, ("zh_TW", "en", "en_US.UTF-8")),
        ({"LANGUAGE": "zh_TW", "LC_ALL": "C"}, ("C",)),
    ],
)
def test_the_systems_languages_are_told_by_its_variables(
    environment: dict[str, str], languages: tuple[str, ...]
) -> None:
    assert system_languages(environment) == languages


# --- what is shipped ----------------------------------------------------------------------------

FIELD = re.compile(r"\{\w+\}")
SHIPPED = [code for code in LANGUAGES if code != "en"]


def shipped(language: str) -> list[Entry]:
    text = (LOCALE / f"{language}.po").read_text("utf-8")
    return [entry for entry in entries(text) if entry.ids != ("",)]


@pytest.mark.parametrize("language", SHIPPED)
def test_every_sentence_of_the_program_is_in_the_file_and_translated(language: str) -> None:
    """Where this fails: `make words`, then fill in what it lists as not translated."""
    found = {entry.ids: entry.texts for entry in shipped(language)}
    sentences = messages()
    assert len(sentences) > 1000, "this test looks for the sentences where they are written"
    assert sorted(sentences - found.keys()) == [], "not in the file: run make words"
    assert sorted(found.keys() - sentences) == [], "no longer in the program: run make words"
    assert [ids for ids, texts in found.items() if not all(texts)] == [], "not translated"


@pytest.mark.parametrize("language", SHIPPED)
def test_a_translation_has_the_fields_of_its_sentence(language: str) -> None:
    for entry in shipped(language):
        fields = set(FIELD.findall(entry.ids[-1]))
        assert all(set(FIELD.findall(text)) == fields for text in entry.texts), entry


@pytest.mark.parametrize("language", SHIPPED)
def test_the_file_is_as_it_would_be_renewed(language: str) -> None:
    assert (LOCALE / f"{language}.po").read_bytes() == renewed(language), "run make words"


def test_traditional_chinese_is_written_in_its_own_letters() -> None:
    """Words of the mainland and simplified letters that slip in easily."""
    simplified = set("这个们为会发现实时设备网络电脑应该还没开关运行内存储态总结过后")
    own = set("個們為會發現實時設備網路電腦應該還沒開關運行內存儲態總結過後")
    shown = "".join(text for entry in shipped("zh_TW") for text in entry.texts)
    assert not (simplified - own) & set(shown)
    assert not [
        word for word in ("默認", "信息", "軟件", "硬件", "網絡", "內存", "服務器", "鼠標") if word in shown
    ]


def test_the_program_speaks_chinese_where_it_is_asked_to() -> None:
    made = Catalogue()
    made.use(LOCALE, "zh_TW")
    assert made.one("Pause") == "暫停"
    assert made.many("Working on {count} task.", "Working on {count} tasks.", 3) == "正在執行 3 個任務。"


def test_no_sentence_stands_inside_an_f_string() -> None:
    """There Python before 3.12 does not show it to those who collect the sentences."""
    found = []
    for file in SOURCES[0].rglob("*.py"):
        texts = [node for node in ast.walk(ast.parse(file.read_bytes())) if isinstance(node, ast.JoinedStr)]
        calls = [node for text in texts for node in ast.walk(text) if isinstance(node, ast.Call)]
        ours = [call for call in calls if getattr(call.func, "id", "") in KEYWORDS]
        found += [
            (file.name, call.lineno)
            for call in ours
            if any(isinstance(word, ast.Constant) for word in call.args)
        ]
    assert found == []
