"""The pages in a real Chromium, before a fake worker: states, widths, keys, what is live, who sees what."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.wait import WebDriverWait

from hivemind_worker.model.accounts import Role
from hivemind_worker.model.events import FinishAsked, PauseAsked, StopAsked, TaskPauseAsked
from hivemind_worker.model.fleet import Fleet
from hivemind_worker.model.snapshot import Mode
from tests.e2e.browser import Browser, browser, missing_browser
from tests.e2e.pictures import PAGES, SCENES, WIDTHS, address, sign_in
from tests.fakes.node import NOW_S, FakeNode, make_machine, make_task
from tests.web import scenes
from tests.web.conftest import PASSWORD
from tests.web.hosting import Hosted, hosted

pytestmark = [pytest.mark.slow, pytest.mark.skipif(bool(missing_browser()), reason=missing_browser() or "-")]
WAIT_S = 10.0
OVERFLOWING = """
const wide = document.documentElement.clientWidth, found = [];
if (document.documentElement.scrollWidth > wide) found.push("the page");
for (const one of document.querySelectorAll("main *, header *, footer *")) {
  const box = one.getBoundingClientRect();
  if (box.width && box.right > wide + 1 && !one.closest(".sr, .cut *, pre, .log, svg, .skip, thead")) {
    found.push(one.tagName + "." + one.className + ": " + one.textContent.trim().slice(0, 40));
  }
}
return found;
"""


INTRUDING = """
const script = document.createElement("script"), image = new Image();
script.textContent = "window.ran = 1";
image.src = "http://127.0.0.1:9/x.png";
document.body.append(script, image);
document.body.insertAdjacentHTML("beforeend", "<p style='color:red' onclick='window.ran = 1'>x</p>");
document.body.lastChild.click();
"""


@pytest.fixture(scope="module")
def shared_browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with browser(tmp_path_factory.mktemp("profile")) as driver:
        yield driver


@pytest.fixture
def driver(shared_browser: Browser) -> Iterator[Browser]:
    """A browser that knows nobody; at the end it must have had nothing to complain about."""
    shared_browser.fresh()
    yield shared_browser
    assert shared_browser.complaints() == []


@pytest.fixture
def host(tmp_path: Path, shared_browser: Browser) -> Iterator[Hosted]:
    with hosted(tmp_path, scenes.working) as made:
        made.account("mira")
        yield made
        shared_browser.get("about:blank")  # a page that is left open would complain that its server has gone


def until(driver: Browser, holds: Callable[[], object]) -> None:
    WebDriverWait(driver, WAIT_S, 0.05).until(lambda _driver: holds())


def text(driver: Browser, css: str) -> str:
    """What is shown there now; "" while it is not there."""
    found = driver.find_elements(By.CSS_SELECTOR, css)
    return found[0].text if found else ""


def asked(host: Hosted, kind: type) -> list[Any]:
    return [wish for wish in host.node.asked if isinstance(wish, kind)]


# what is seen


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.__name__)
def test_every_page_fits_every_width_and_nothing_is_complained_about(
    driver: Browser, host: Hosted, scene: Any
) -> None:
    host.show(scene)
    sign_in(driver, host)
    for page in PAGES:
        if page == "task" and not host.node.picture.tasks:
            continue
        driver.get(f"{host.url}/{address(page, host.node)}")
        for width in WIDTHS:
            driver.look(width, dark=width == 768)
            assert driver.execute_script(OVERFLOWING) == [], (page, width)
            names = driver.find_elements(By.CSS_SELECTOR, "tbody th a")
            assert all(name.size["width"] > 60 for name in names), (page, width, "names are not seen")
        assert driver.find_elements(By.CSS_SELECTOR, "h1"), page


def many_machines(node: FakeNode, _now_s: float) -> None:
    """Long names of both kinds, one that the pool calls, one that has much to say."""
    pool = replace(node.picture.pool, address="tls://pool.example:4222")
    node.picture = replace(node.picture, pool=pool)
    called = make_machine("a name without an end " + "cellar" * 12, "running", is_called=True)
    long = make_machine("x" * 63, "blocked")
    told = replace(long, standing=replace(long.standing, text="Too warm, on battery, in use. " * 8))
    named = [make_machine(f"box-{number}", "paused") for number in range(20)]
    node.fleet.shown = Fleet(account="anna", balance=7, at_s=NOW_S, machines=(called, told, *named))


def test_the_owners_machines_fit_every_width_whatever_their_names(driver: Browser, host: Hosted) -> None:
    host.show(many_machines)
    sign_in(driver, host)
    driver.get(f"{host.url}/fleet")
    for width in (*WIDTHS, 375, 1000):
        driver.look(width)
        assert driver.execute_script(OVERFLOWING) == [], width
    assert driver.nameless() == []
    row = driver.find_element(By.CSS_SELECTOR, "[data-key^='m-a name']")
    assert "The pool calls this machine" in row.text and not row.find_elements(By.TAG_NAME, "button")


def test_everything_that_can_be_pressed_or_filled_has_a_name(driver: Browser, host: Hosted) -> None:
    driver.get(f"{host.url}/login")
    nameless = driver.nameless()
    sign_in(driver, host)
    for page in PAGES:
        driver.get(f"{host.url}/{address(page, host.node)}")
        nameless += [(page, *row) for row in driver.nameless()]
    assert nameless == []


def test_dark_and_light_follow_the_visitors_system(driver: Browser, host: Hosted) -> None:
    grounds = []
    for dark in (False, True):
        driver.look(1200, dark=dark)
        driver.get(f"{host.url}/login")
        colour = driver.execute_script("return getComputedStyle(document.documentElement).backgroundColor")
        grounds.append(sum(int(part) for part in colour[4:-1].split(",")))
    assert grounds[0] > 600 and grounds[1] < 150


def test_a_chart_has_a_table_twin_that_opens_and_stays_open_while_the_page_goes_on(
    driver: Browser, host: Hosted
) -> None:
    sign_in(driver, host)
    driver.find_element(By.CSS_SELECTOR, "#cpu-twin summary").click()
    rows = driver.find_elements(By.CSS_SELECTOR, "#cpu-twin tbody tr")
    assert len(rows) > 5 and "%" in rows[0].text
    host.show(scenes.paused)
    until(driver, lambda: "Snoozed" in text(driver, "#pill"))
    assert driver.find_element(By.ID, "cpu-twin").get_attribute("open") is not None


def test_the_size_of_a_log_bends_with_its_number_of_lines(driver: Browser, host: Hosted) -> None:
    sign_in(driver, host)
    task = host.node.picture.tasks[1]
    write = [host.node.write_log]

    async def say(line: bytes) -> None:
        write[0](task, line)

    host.wait(say(b"one\n"))
    driver.get(f"{host.url}/tasks/{task.key}")
    assert text(driver, "#log-size").startswith("1 line, ")
    host.wait(say(b"tw"))
    until(driver, lambda: text(driver, "#log-size") == "2 lines, 6 B")
    host.wait(say(b"o\n"))
    until(driver, lambda: text(driver, "#log-size") == "2 lines, 8 B")
    driver.find_element(By.ID, "log-filter").send_keys("one")
    until(driver, lambda: text(driver, "#log-hits") == "1 line")
    driver.get(f"{host.url}/logs")
    driver.find_element(By.ID, "lines-filter").send_keys("no such line")
    until(driver, lambda: text(driver, "#lines-size") == "0 of 72 lines")


def test_w_hostile_names_and_lines_are_shown_as_text_and_nothing_of_them_runs(
    driver: Browser, host: Hosted
) -> None:
    sign_in(driver, host)
    hostile = next(task for task in host.node.picture.tasks if task.task_id == scenes.HOSTILE)
    for page in (*PAGES, f"tasks/{hostile.key}"):
        driver.get(f"{host.url}/{address(page, host.node)}")
        assert driver.execute_script("return document.querySelectorAll('img,main script,iframe').length") == 0
    assert text(driver, "#task-id").startswith("<img src=x onerror=alert(1)>\"'&{{7*7}}</script>")
    assert "49" not in text(driver, "#task-id") and "\u202e" not in text(driver, "#task-id")

    async def say() -> None:
        host.node.write_log(hostile, b"</pre><script>document.title='pwned'</script>\n\x1b[2Jmore\n")

    host.wait(say())
    until(driver, lambda: "<script>document.title" in text(driver, "#log-text"))
    assert "pwned" not in driver.title
    assert "more" in text(driver, "#log-text") and "\x1b" not in text(driver, "#log-text")


def test_w_the_policy_of_the_pages_stops_what_is_not_their_own(shared_browser: Browser, host: Hosted) -> None:
    shared_browser.fresh()
    sign_in(shared_browser, host)
    shared_browser.execute_script(INTRUDING)
    assert shared_browser.execute_script("return window.ran") is None
    complaints = shared_browser.complaints()
    for kind in ("script", "image", "style"):
        assert any("Content Security Policy" in line and kind in line for line in complaints), complaints


# what is live


def test_a_task_that_comes_and_goes_is_seen_without_loading_again(driver: Browser, host: Hosted) -> None:
    host.show(scenes.fresh)
    sign_in(driver, host)
    assert "No tasks right now" in text(driver, "#running")
    driver.execute_script("window.sameDocument = true")
    task = make_task("comes-and-goes", accepted_at_s=time.time() - 5, started_at_s=time.time() - 4)

    async def come() -> None:
        host.node.put(task)

    async def go() -> None:
        host.node.picture = replace(host.node.picture, tasks=())

    host.wait(come())
    until(driver, lambda: "comes-and-goes" in text(driver, "#running"))
    assert text(driver, "#pill").endswith("Working")
    elapsed = text(driver, "[data-since]")
    until(driver, lambda: text(driver, "[data-since]") != elapsed)
    host.wait(go())
    until(driver, lambda: "No tasks right now" in text(driver, "#running"))
    assert driver.execute_script("return window.sameDocument") is True


def test_a_worker_that_is_gone_is_said_to_be_and_its_return_is_noticed(
    driver: Browser, host: Hosted, tmp_path: Path
) -> None:
    sign_in(driver, host)
    until(driver, lambda: text(driver, "#follow").startswith("Live"))
    pause = driver.find_element(By.CSS_SELECTOR, "[data-action=pause]")
    port = host.api.port
    host.wait(host.api.close())
    until(driver, lambda: "Last heard" in text(driver, "#stale"))
    assert "out of date" in text(driver, "#stale")
    assert not pause.is_enabled() and text(driver, "#follow").startswith("Last heard")
    with hosted(tmp_path, scenes.paused, port=port):
        until(driver, lambda: text(driver, "#follow").startswith("Live"))
        until(driver, lambda: "Snoozed" in text(driver, "#pill"))
        assert text(driver, "#stale") == ""
    driver.forgive("ERR_CONNECTION_REFUSED", "ERR_INCOMPLETE_CHUNKED_ENCODING", "ERR_EMPTY_RESPONSE")


# keys


def keys(driver: Browser, *sent: str) -> None:
    for one in sent:
        driver.switch_to.active_element.send_keys(one)


def tab_to(driver: Browser, css: str) -> None:
    """Press Tab until this has the focus; the focus must be seen on every stop."""
    for _press in range(60):
        keys(driver, Keys.TAB)
        here = driver.switch_to.active_element
        ring = driver.execute_script(
            "const s = getComputedStyle(arguments[0]), p = getComputedStyle(arguments[0].parentElement),"
            " n = arguments[0].nextElementSibling && getComputedStyle(arguments[0].nextElementSibling);"
            "return [s, p, n].some((one) => one && one.outlineStyle !== 'none')", here,
        )  # fmt: skip
        assert ring, f"no ring around {here.get_attribute('outerHTML')}"
        if here in driver.find_elements(By.CSS_SELECTOR, css):
            return
    raise AssertionError(f"{css} is not reached by Tab")


def test_all_is_done_with_the_keyboard_alone(driver: Browser, host: Hosted) -> None:
    driver.get(f"{host.url}/login")
    keys(driver, "mira", Keys.TAB, PASSWORD, Keys.ENTER)
    until(driver, lambda: text(driver, "#sentence"))
    tab_to(driver, ".skip")
    keys(driver, Keys.ENTER)
    assert driver.switch_to.active_element.get_attribute("id") == "main"
    tab_to(driver, ".menu summary")
    keys(driver, Keys.ENTER)
    assert driver.find_element(By.CSS_SELECTOR, ".split .menu").get_attribute("open") is not None
    keys(driver, Keys.ESCAPE)
    assert driver.find_element(By.CSS_SELECTOR, ".split .menu").get_attribute("open") is None
    assert driver.switch_to.active_element.tag_name == "summary"
    tab_to(driver, "[data-action=finish]")
    keys(driver, Keys.ENTER)
    until(driver, lambda: asked(host, FinishAsked))
    until(driver, lambda: "Finishing" in text(driver, "#pill"))
    tab_to(driver, "[data-stop]")
    keys(driver, Keys.ENTER)
    until(driver, lambda: driver.switch_to.active_element.text == "Keep it running")
    keys(driver, Keys.ESCAPE)
    assert asked(host, StopAsked) == []
    assert driver.switch_to.active_element.get_attribute("data-stop"), "the focus is back where it was"
    keys(driver, Keys.ENTER)
    keys(driver, Keys.TAB, Keys.ENTER)
    until(driver, lambda: len(asked(host, StopAsked)) == 1)


def test_one_task_is_paused_in_the_table_and_goes_on_from_its_page(driver: Browser, host: Hosted) -> None:
    sign_in(driver, host)
    key = driver.find_element(By.CSS_SELECTOR, "#running [data-hold]").get_attribute("data-key")
    row = f"#running tr[data-key='{key}']"
    driver.find_element(By.CSS_SELECTOR, f"{row} [data-hold=pause]").click()
    until(driver, lambda: driver.find_elements(By.CSS_SELECTOR, f"{row} [data-hold=resume]"))
    assert "Paused" in text(driver, row) and "Resume" in text(driver, row)
    assert "Working" in text(driver, "#pill"), "the others go on"
    driver.get(f"{host.url}/tasks/{key}")
    driver.find_element(By.CSS_SELECTOR, "#task [data-hold=resume]").click()
    until(driver, lambda: driver.find_elements(By.CSS_SELECTOR, "#task [data-hold=pause]"))
    assert text(driver, "#sentence") == "Running"
    assert [(wish.key, wish.paused) for wish in asked(host, TaskPauseAsked)] == [(key, True), (key, False)]


# who


def test_two_at_once_see_the_same_and_a_viewer_has_nothing_to_press(
    driver: Browser, host: Hosted, tmp_path: Path
) -> None:
    host.account("ben", Role.VIEWER)
    host.show(scenes.fresh)
    sign_in(driver, host)
    with browser(tmp_path / "second") as other:
        other.fresh()
        sign_in(other, host, "ben")
        assert "ben" in text(other, ".who") and "mira" in text(driver, ".who")
        assert other.find_elements(By.CSS_SELECTOR, "[data-action],[data-stop],dialog") == []
        driver.find_element(By.CSS_SELECTOR, "[data-action=pause]").click()
        until(driver, lambda: "Paused" in text(driver, "#pill"))
        until(other, lambda: "Paused" in text(other, "#pill"))
        assert "Paused" in text(driver, "#notice") and text(other, "#notice") == ""
        assert len(asked(host, PauseAsked)) == 1
        driver.find_element(By.CSS_SELECTOR, ".who button").click()
        until(driver, lambda: driver.current_url.endswith("/login"))
        other.refresh()
        assert "Paused" in text(other, "#pill"), "the end of one session is not that of another"
        assert other.complaints() == []


def test_w_a_session_that_has_ended_leads_to_the_login_and_from_there_back(
    driver: Browser, host: Hosted
) -> None:
    sign_in(driver, host)
    driver.get(f"{host.url}/monitor?range=24h")

    async def end_all() -> None:
        for kept in await host.users.sessions(time.time()):
            await host.users.end_session(kept.number)
        host.node.picture = replace(host.node.picture, node=replace(host.node.picture.node, mode=Mode.PAUSED))

    host.wait(end_all())
    until(driver, lambda: "/login" in driver.current_url)
    assert "24h" in driver.current_url and "Sign in" in driver.title
    driver.find_element(By.ID, "name").send_keys("mira")
    driver.find_element(By.ID, "password").send_keys(PASSWORD, Keys.ENTER)
    until(driver, lambda: driver.current_url.endswith("/monitor?range=24h"))
    driver.forgive("401")


def test_an_owner_sees_who_is_signed_in_and_signs_another_out(driver: Browser, host: Hosted) -> None:
    host.account("ben", Role.VIEWER)
    host.wait(
        host.users.begin_session(
            "ben",
            Role.VIEWER,
            at_s=time.time(),
            length_s=3600.0,
            address="127.0.0.1",
            agent="<b>odd</b>\u202e",
        )
    )
    sign_in(driver, host)
    driver.find_element(By.CSS_SELECTOR, ".who a").click()
    until(driver, lambda: "this browser" in text(driver, "#sessions"))
    assert "ben" in text(driver, "#sessions") and "<b>odd</b>\\u202e" in text(driver, "#sessions")
    ends = driver.find_elements(By.CSS_SELECTOR, "[data-end]")
    next(end for end in ends if "ben" in end.get_attribute("textContent")).click()
    until(driver, lambda: "ben" not in text(driver, "#sessions"))
    assert [kept.user for kept in host.wait(host.users.sessions(time.time()))] == ["mira"]


def test_w_after_signing_out_the_pages_and_the_back_button_show_nothing(
    driver: Browser, host: Hosted
) -> None:
    sign_in(driver, host)
    driver.get(f"{host.url}/tasks")
    driver.find_element(By.CSS_SELECTOR, ".who button").click()
    until(driver, lambda: driver.current_url.endswith("/login"))
    driver.back()
    until(driver, lambda: "/login" in driver.current_url and driver.find_elements(By.ID, "name"))
    for page in PAGES:
        driver.get(f"{host.url}/{address(page, host.node)}")
        assert "/login" in driver.current_url
        assert scenes.HOSTILE[:9] not in driver.page_source


def test_a_wrong_password_is_said_once_in_words_and_the_name_stays(driver: Browser, host: Hosted) -> None:
    driver.get(f"{host.url}/login")
    driver.find_element(By.ID, "name").send_keys("mira")
    driver.find_element(By.ID, "password").send_keys("wrong", Keys.ENTER)
    until(driver, lambda: text(driver, "#trouble"))
    assert text(driver, "#trouble") == "The name or the password is not right."
    assert driver.find_element(By.ID, "name").get_attribute("value") == "mira"
    driver.forgive("401")
