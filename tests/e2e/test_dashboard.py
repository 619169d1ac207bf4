"""A real worker, a real pool, the real sandbox, and a browser: from the link to the end of the session."""

from __future__ import annotations

import asyncio
import json
import zipfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from selenium.webdriver.common.by import By

from tests.e2e.browser import Browser, browser, missing_browser
from tests.e2e.process import WorkerProcess, command, keep_login, worker
from tests.e2e.test_pool_command import PASSWORD, add_user, pool, task_folder

pytestmark = [pytest.mark.slow, pytest.mark.skipif(bool(missing_browser()), reason=missing_browser() or "-")]
WAIT_S = 30.0
TALKS = """import time
open('made.txt', 'w').write('half of it')
for number in range(3000):
    print('line', number, '<b>bold</b>', flush=True)
    time.sleep(0.1)
"""


@dataclass
class Seat:
    """Who looks: a browser, driven from the test's loop."""

    driver: Browser

    async def open(self, address: str) -> None:
        await asyncio.to_thread(self.driver.get, address)

    async def click(self, css: str) -> None:
        await asyncio.to_thread(lambda: self.driver.find_element(By.CSS_SELECTOR, css).click())

    async def text(self, css: str) -> str:
        """What is shown there now; "" while it is not there, or is just being changed."""
        script = "return document.querySelector(arguments[0])?.innerText ?? ''"
        return str(await asyncio.to_thread(self.driver.execute_script, script, css))

    async def until(self, css: str, holds: Callable[[str], object]) -> str:
        """Wait until what is shown there is so; returns it."""
        said = ""
        try:
            async with asyncio.timeout(WAIT_S):
                while not holds(said := await self.text(css)):
                    await asyncio.sleep(0.05)
        except TimeoutError:
            raise AssertionError(f"{css} stays {said!r}") from None
        return said


@dataclass
class Town:
    """A worker that is registered at a pool."""

    home: Path
    worker: WorkerProcess
    pool: str
    password_file: str

    async def told(self, *words: str) -> dict[str, object]:
        code, out, err = await command(self.home, *words, "--json")
        assert code == 0, err
        return dict(json.loads(out))

    async def submit(self, folder: Path) -> None:
        code, _out, err = await command(
            self.home.parent / "requester", "submit", str(folder), "--pool", self.pool, "--user", "ada",
            "--password-file", self.password_file,
        )  # fmt: skip
        assert code == 0, err


@asynccontextmanager
async def town(folder: Path) -> AsyncIterator[Town]:
    password = folder / "password"
    password.write_text(PASSWORD + "\n")
    async with pool(folder / "pool-home") as running:
        for name in ("ada", "wanda"):
            await add_user(folder / "pool-home", name, str(password))
        home = folder / "home"
        keep_login(home, running.address, "wanda", PASSWORD)
        async with worker(home, running.address) as made:
            yield Town(home, made, running.address, str(password))


async def test_from_the_one_time_link_to_a_stopped_task_its_result_and_the_end_of_the_session(
    tmp_path: Path,
) -> None:
    downloads = tmp_path / "downloads"
    downloads.mkdir()
    async with town(tmp_path) as made:
        with browser(tmp_path / "profile") as driver:
            await asyncio.to_thread(driver.fresh)
            driver.save_files_in(downloads)
            seat = Seat(driver)
            link = str((await made.told("dashboard"))["url"])
            await seat.open(link)
            await seat.until("#pill", lambda said: said.endswith("Waiting"))
            assert driver.current_url.endswith("/dashboard"), "the code is not kept in the address"
            assert "No tasks right now" in await seat.text("#running")

            await made.submit(task_folder(tmp_path / "talks", TALKS))
            await seat.until("#running", lambda said: "Running" in said and "Stop" in said)
            await seat.until("#pill", lambda said: said.endswith("Working"))
            await seat.until("#latest", lambda said: "started in the built-in sandbox" in said)
            await seat.click("#running th a")
            first = await seat.until("#log-text", lambda said: "<b>bold</b>" in said)
            await seat.until("#log-text", lambda said: len(said.splitlines()) > len(first.splitlines()) + 5)
            assert await seat.text("#log-state") == "live"

            await seat.click("[data-stop]")
            await seat.until("#confirm", lambda said: "Stop the task?" in said)
            await seat.click("#confirm-yes")
            await seat.until("#sentence", lambda said: said.startswith("Stopped after"))
            await seat.until("#log-state", lambda said: said == "complete")
            await seat.until("#result", lambda said: "Download" in said)
            await seat.click("#result a.button")
            archive = await saved(downloads)
            with zipfile.ZipFile(archive) as result:
                assert result.read("made.txt") == b"half of it"

            await seat.click(".who button")
            await seat.until("h1", lambda said: said.startswith("Sign in"))
            for address in (link, link.partition("/login")[0] + "/tasks"):
                await seat.open(address)
                assert "Sign in" in await seat.text("h1")
            await asyncio.to_thread(driver.forgive, "401")  # the link that was used before
        assert (await made.told("user", "session", "list"))["sessions"] == []


async def saved(folder: Path) -> Path:
    """The file that the browser has finished saving."""
    async with asyncio.timeout(WAIT_S):
        while not (found := list(folder.glob("*.zip"))):
            await asyncio.sleep(0.05)
    return found[0]


async def test_pausing_and_going_on_is_seen_live_by_owner_and_viewer(tmp_path: Path) -> None:
    async with town(tmp_path) as made:
        for name, role in (("olga", "owner"), ("vera", "viewer")):
            await made.told("user", "add", name, "--role", role, "--password-file", made.password_file)
        await made.submit(task_folder(tmp_path / "talks", TALKS))
        address = str((await made.told("dashboard"))["url"]).partition("/login")[0]
        with browser(tmp_path / "one") as first, browser(tmp_path / "two") as second:
            owner, viewer = Seat(first), Seat(second)
            for seat, name in ((owner, "olga"), (viewer, "vera")):
                await asyncio.to_thread(seat.driver.fresh)
                await seat.open(f"{address}/login")
                seat.driver.find_element(By.ID, "name").send_keys(name)
                seat.driver.find_element(By.ID, "password").send_keys(PASSWORD)
                await seat.click("button.main")
                await seat.until("#running", lambda said: "Running" in said)
            assert "Stop" not in await viewer.text("#running")
            await owner.click("[data-action=pause]")
            for seat in (owner, viewer):
                await seat.until("#pill", lambda said: said.endswith("Paused"))
                await seat.until("#running td", lambda said: said.strip() == "Paused")
            assert (await owner.text("#notice")).startswith("Paused")
            held = await viewer.text("[data-since]")
            await owner.click("[data-action=resume]")
            for seat in (owner, viewer):
                await seat.until("#pill", lambda said: said.endswith("Working"))
            await viewer.until("[data-since]", lambda said: said not in ("", held))
            assert first.complaints() == second.complaints() == []
