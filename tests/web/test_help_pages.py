"""/help: every page of the documentation, its links and pictures, for those who are signed in."""

from __future__ import annotations

import re
from urllib.parse import urljoin

import pytest

from hivemind_worker.places import documents
from tests.web.conftest import Served


async def test_every_link_from_the_contents_on_is_answered(served: Served) -> None:
    ahead, seen, pictures = ["/help"], set[str](), 0
    while ahead:
        path = ahead.pop()
        if path in seen:
            continue
        seen.add(path)
        answer = await served.get(path)
        assert answer.status == 200, path
        if path.endswith(".png"):
            pictures += 1
            assert answer.headers["content-type"] == "image/png" and answer.body.startswith(b"\x89PNG")
            continue
        article = answer.body.decode().partition("<article")[2].partition("</article>")[0]
        assert "<h1" in article and "style=" not in article, path
        for target in re.findall(r'(?:href|src)="([^"#]+)[^"]*"', article):
            if not target.startswith("https:"):
                ahead.append(urljoin(path, target))
    assert len(seen) - pictures == len(list(documents().rglob("*.md")))
    assert pictures > 10


@pytest.mark.parametrize(
    "path", ["/help/nothing", "/help/..%2f..%2fetc%2fpasswd", "/help/../settings", "/help/pictures/x.png",
             "/help/pictures/..%2frules.md", "/help/README"],
)  # fmt: skip
async def test_only_pages_and_pictures_that_are_there_are_read(served: Served, path: str) -> None:
    answer = await served.get(path)
    assert answer.status == (200 if path == "/help/README" else 404)


async def test_it_is_for_those_who_are_signed_in_and_named_on_every_page(served: Served) -> None:
    assert (await served.get("/help", token=None)).status == 303
    assert (await served.get("/help/pictures/home.png", token=None)).status == 303
    page = (await served.get("/dashboard")).body.decode()
    assert page.count('href="/help"') == 2


async def test_the_frame_is_in_the_readers_language_and_says_that_the_pages_are_not(served: Served) -> None:
    page = (await served.get("/help/rules", headers={"Accept-Language": "zh-TW"})).body.decode()
    assert "說明" in page and "說明頁面為英文" in page and 'class="reading" lang="en"' in page
