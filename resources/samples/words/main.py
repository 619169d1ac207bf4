"""Counts the words of story.txt, or of any other text, and writes report.txt and report.json.

Options: --text (the file to read), --top (how many common words to list), --out (the folder for reports).
"""

import argparse
import json
import re
import statistics
import sys
from collections import Counter
from pathlib import Path

WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*")
SENTENCE_END = re.compile(r"[.!?]+[\"'”’)]*(?=\s|$)")
BAR = 40  # width of the longest bar of the report


def read_text(path):
    """The text, with odd bytes shown as question marks rather than refused."""
    return path.read_text(encoding="utf-8", errors="replace")


def measure(text, top):
    """All figures of a text, ready for the report."""
    words = [word.lower().replace("’", "'") for word in WORD.findall(text)]
    counts = Counter(words)
    lengths = Counter(len(word) for word in words)
    kinds = Counter(kind_of(letter) for letter in text)
    return {
        "characters": {"all": len(text), **dict(sorted(kinds.items()))},
        "lines": len(text.splitlines()),
        "paragraphs": sum(bool(part.strip()) for part in re.split(r"\n\s*\n", text)),
        "sentences": len(SENTENCE_END.findall(text)),
        "words": len(words),
        "different_words": len(counts),
        "words_used_once": sum(count == 1 for count in counts.values()),
        "mean_word_length": round(statistics.fmean(map(len, words)), 3) if words else 0.0,
        "longest_word": max(sorted(counts), key=len, default=""),
        "words_by_length": dict(sorted(lengths.items())),
        "common_words": dict(sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:top]),
    }


def kind_of(letter):
    """Which of four kinds a character is."""
    if letter.isalpha():
        return "letters"
    if letter.isspace():
        return "spaces"
    return "digits" if letter.isdigit() else "signs"


def check(text, figures):
    """Count again in other ways; the ways must agree."""
    kinds = figures["characters"]
    again = re.findall(r"\S+", text)
    cores = [part for part in again if any(letter.isalpha() for letter in part)]
    claims = {
        "the kinds of characters add up to all": sum(kinds.values()) == 2 * kinds["all"],
        "words by length add up to all words": sum(figures["words_by_length"].values()) == figures["words"],
        "every run of letters is in some word": figures["words"] >= len(cores),
        "no word was counted that is not there": all(
            word in searchable(text) for word in figures["common_words"]
        ),
        "common words are at most all words": sum(figures["common_words"].values()) <= figures["words"],
        "words used once are at most the different ones": figures["words_used_once"]
        <= figures["different_words"],
    }
    return [claim for claim, holds in claims.items() if not holds]


def searchable(text):
    return text.lower().replace("’", "'")


def report(name, figures):
    """The figures as a page of plain text, with bars."""
    lines = [f"About {name}", ""]
    for key in ("lines", "paragraphs", "sentences", "words", "different_words", "words_used_once"):
        lines.append(f"{key.replace('_', ' '):<18}{figures[key]:>8,}")
    lines += [f"{'longest word':<18}{figures['longest_word']:>8}", "", "Words by length"]
    lines += bars(figures["words_by_length"])
    lines += ["", "Common words"]
    lines += bars(figures["common_words"])
    return "\n".join(lines) + "\n"


def bars(counts):
    most = max(counts.values(), default=1)
    return [f"{key!s:>12} {count:>6} {'#' * max(1, BAR * count // most)}" for key, count in counts.items()]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--text", type=Path, default=Path(__file__).with_name("story.txt"))
    parser.add_argument("--top", type=int, default=15)
    parser.add_argument("--out", type=Path, default=Path())
    asked = parser.parse_args()
    print(f"Reading {asked.text.name}.", flush=True)
    text = read_text(asked.text)
    figures = measure(text, asked.top)
    print(f"It has {figures['words']:,} words, {figures['different_words']:,} of them different.", flush=True)
    page = report(asked.text.name, figures)
    print(page, flush=True)
    asked.out.mkdir(parents=True, exist_ok=True)
    (asked.out / "report.txt").write_text(page, encoding="utf-8")
    (asked.out / "report.json").write_text(
        json.dumps(figures, indent=2, ensure_ascii=False) + "\n", encoding="utf-8"
    )
    failed = check(text, figures)
    for claim in failed:
        print(f"The check failed: it does not hold that {claim}.")
    if not failed:
        print("Checked: all counts add up. The report is in report.txt and report.json.")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
