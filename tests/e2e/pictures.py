"""Pictures of every page in every state, to be looked at: `python -m tests.e2e.pictures FOLDER [PAGE...]`."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from selenium.webdriver.common.by import By
from selenium.webdriver.support.wait import WebDriverWait

from tests.e2e.browser import Browser, browser
from tests.fakes.node import FakeNode
from tests.web import scenes
from tests.web.conftest import PASSWORD
from tests.web.hosting import Hosted, hosted

WIDTHS = (360, 768, 1200)
PAGES = (
    "dashboard", "tasks", "task", "monitor", "history", "pools", "rules", "logs", "doctor", "sessions",
    "help",
)  # fmt: skip
SCENES = (scenes.working, scenes.paused, scenes.fresh, scenes.broken)


def address(page: str, node: FakeNode) -> str:
    """Where a page is; the task's is that of the first one."""
    return f"tasks/{node.picture.tasks[0].key}" if page == "task" else page


def sign_in(driver: Browser, host: Hosted, name: str = "mira") -> None:
    """With name and password, as a visitor does."""
    driver.get(f"{host.url}/login")
    driver.find_element(By.ID, "name").send_keys(name)
    driver.find_element(By.ID, "password").send_keys(PASSWORD)
    driver.find_element(By.CSS_SELECTOR, "form button.main").click()
    WebDriverWait(driver, 10, 0.05).until(lambda _driver: driver.find_elements(By.ID, "pill"))


def main(folder: Path, wanted: tuple[str, ...]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as home,
        hosted(Path(home), scenes.working) as host,
        browser(Path(home) / "profile") as driver,
    ):
        host.account("mira")
        for width in WIDTHS:
            for dark in (False, True):
                if "login" in wanted:
                    driver.look(width, dark=dark)
                    driver.get(f"{host.url}/login")
                    driver.picture(folder / f"login-{width}-{'dark' if dark else 'light'}.png")
        sign_in(driver, host)
        for scene in SCENES:
            host.show(scene)
            for page in wanted:
                if page == "login" or (page == "task" and not host.node.picture.tasks):
                    continue
                for width in WIDTHS:
                    for dark in (False, True):
                        driver.look(width, dark=dark)
                        driver.get(f"{host.url}/{address(page, host.node)}")
                        name = f"{page}-{scene.__name__}-{width}-{'dark' if dark else 'light'}.png"
                        driver.picture(folder / name)
        print("\n".join(driver.complaints()) or "no complaints")


if __name__ == "__main__":
    main(Path(sys.argv[1]), tuple(sys.argv[2:]) or ("login", *PAGES))
