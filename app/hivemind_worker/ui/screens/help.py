"""Help: the documentation beside its table of contents, to be read, followed by links and searched.

What is looked for is marked on the page, and the contents shrink to the pages that have it.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from string import Template
from typing import Any

from PySide6.QtCore import Qt, QTimer, QUrl, Signal
from PySide6.QtGui import (
    QDesktopServices,
    QImage,
    QKeySequence,
    QResizeEvent,
    QShortcut,
    QTextCursor,
    QTextDocument,
)
from PySide6.QtWidgets import QLineEdit, QListWidget, QListWidgetItem, QTextBrowser, QTextEdit

from hivemind_worker.places import documents
from hivemind_worker.presentation.catalogue import _, language_in_use, translate_many
from hivemind_worker.presentation.help_pages import INDEX, Library, is_ours
from hivemind_worker.ui.bridge import Bridge
from hivemind_worker.ui.parts.buttons import ToolButton
from hivemind_worker.ui.parts.panels import box, column, line, row
from hivemind_worker.ui.parts.text import Label
from hivemind_worker.ui.screens import Screen
from hivemind_worker.ui.theme import appearance, theme

CONTENTS_PX, TEXT_PX, SCROLL_BAR_PX = 210, 760, 16
SETTLED_MS = 150
ENGLISH = "en"
PAGE = Qt.ItemDataRole.UserRole
SHEET = Template("""
body { color: $text; } a { color: $link; text-decoration: none; }
h1 { font-size: ${px_headline}px; font-weight: 600; margin-top: 4px; margin-bottom: 10px; }
h2 { font-size: ${px_title}px; font-weight: 600; margin-top: 22px; margin-bottom: 6px; }
h3 { font-size: ${px_section}px; font-weight: 600; margin-top: 16px; margin-bottom: 4px; }
p, li { margin-top: 5px; margin-bottom: 5px; }
code, pre { font-family: "$mono"; font-size: ${px_mono}px; }
pre { white-space: pre-wrap; background-color: $sunken; margin-top: 8px; margin-bottom: 8px; }
table { border-collapse: collapse; border-style: solid; border-width: 1px; border-color: $line;
  margin-top: 8px; margin-bottom: 8px; }
th { background-color: $rail; color: $text_2; font-weight: 600; padding: 5px 8px; text-align: left; }
td { padding: 5px 8px; border-style: solid; border-width: 1px; border-color: $line; vertical-align: top; }
""")


class Browser(QTextBrowser):
    """A page. Pictures are those of the documentation alone, as wide as the text at most."""

    resized = Signal()
    """Its width is another one: pictures may want another size."""

    def __init__(self, library: Library) -> None:
        super().__init__()
        self._library = library
        self.setOpenLinks(False)
        self.setFrameShape(QTextBrowser.Shape.NoFrame)
        self.setProperty("kind", "reading")
        self.setAccessibleName(_("Text of the page"))
        self.document().setDocumentMargin(theme().size("gutter"))

    def loadResource(self, kind: int, name: QUrl | str) -> Any:
        """Called by Qt for each picture of a page; nothing is fetched from anywhere."""
        path = self._library.pictures.get(QUrl(name).fileName())
        if kind != QTextDocument.ResourceType.ImageResource or path is None:
            return None
        image, most = QImage(str(path)), self._most_px()
        if image.width() <= most:
            return image
        ratio = self.devicePixelRatioF()
        scaled = image.scaledToWidth(round(most * ratio), Qt.TransformationMode.SmoothTransformation)
        scaled.setDevicePixelRatio(ratio)
        return scaled

    def _most_px(self) -> int:
        inside = self.viewport().width() - 2 * theme().size("gutter")
        return max(200, min(round(TEXT_PX * theme().scale), inside - SCROLL_BAR_PX))

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        if event.size().width() != event.oldSize().width():
            self.resized.emit()


class Help(Screen):
    """The documentation. `show_page` opens a page, or a place on it."""

    def __init__(self, bridge: Bridge) -> None:
        super().__init__(bridge)
        self.library = Library(documents())
        self.browser = Browser(self.library)
        self.list, self.search, self.hits = QListWidget(), QLineEdit(), Label("", "small")
        self.back = ToolButton(_("Back"), "chevron-left", "icon", self._back)
        self.next_hit = ToolButton(_("Next place found"), "chevron-down", "icon", partial(self._step, 1))
        self.last_hit = ToolButton(_("Previous place found"), "chevron-up", "icon", partial(self._step, -1))
        self.page = ""
        self._past: list[tuple[str, int]] = []
        self._found: list[QTextCursor] = []
        self._texts: dict[str, str] = {}
        self._lay_out()
        self._fill_contents()
        self._settled = QTimer(self, interval=SETTLED_MS, singleShot=True)
        self._settled.timeout.connect(self._restyled)
        self.browser.resized.connect(self._settled.start)
        self.browser.anchorClicked.connect(self._follow)
        self.list.currentItemChanged.connect(self._chosen)
        self.search.textChanged.connect(self._look)
        self.search.returnPressed.connect(partial(self._step, 1))
        appearance().changed.connect(self._restyled)
        self._restyled()
        self.show_page(INDEX)

    def _lay_out(self) -> None:
        gutter = theme().size("gutter")
        self.search.setPlaceholderText(_("Find in the help"))
        self.search.setAccessibleName(_("Find in the help"))
        self.search.setClearButtonEnabled(True)
        self.search.setMaximumWidth(round(260 * theme().scale))
        self.list.setProperty("kind", "groups")
        self.list.setAccessibleName(_("Pages"))
        self.list.setFixedWidth(round(CONTENTS_PX * min(1.4, theme().scale)))
        bar = row(8, margins=(gutter, 10, gutter, 10))
        bar.addWidget(Label(_("Help"), "title"))
        bar.addWidget(self.back)
        if language_in_use() != ENGLISH:
            bar.addWidget(Label(_("The pages are in English."), "small"))
        bar.addStretch(1)
        for widget in (self.hits, self.search, self.last_hit, self.next_hit):
            bar.addWidget(widget)
        middle = row()
        middle.addWidget(self.list)
        middle.addWidget(line(upright=True))
        middle.addWidget(self.browser, 1)
        whole = column()
        whole.addWidget(box("bar", bar))
        whole.addLayout(middle, 1)
        self.setLayout(whole)
        for keys, act in (
            ("Alt+Left", self._back),
            ("F3", partial(self._step, 1)),
            ("Shift+F3", partial(self._step, -1)),
        ):
            shortcut = QShortcut(QKeySequence(keys), self)
            shortcut.setContext(Qt.ShortcutContext.WidgetWithChildrenShortcut)
            shortcut.activated.connect(act)

    def _fill_contents(self) -> None:
        for section in self.library.contents():
            head = QListWidgetItem(section.title)
            head.setFlags(Qt.ItemFlag.NoItemFlags)
            head.setFont(theme().font("section"))
            self.list.addItem(head)
            for entry in section.entries:
                item = QListWidgetItem(entry.title)
                item.setData(PAGE, entry.page)
                self.list.addItem(item)

    # --- pages --------------------------------------------------------------------------------

    def show_page(self, target: str) -> None:
        """Show a page, e.g. "rules.md#presets"; one that is not there is the contents."""
        name, _hash, anchor = target.partition("#")
        if self.page:
            self._past.append((self.page, self.browser.verticalScrollBar().value()))
        self._show(name)
        if anchor:
            self.browser.scrollToAnchor(anchor)

    def _show(self, name: str, at: int = 0) -> None:
        self.page = name if name in self.library.names else INDEX
        found = self.library.page(self.page)
        self.browser.document().setDefaultStyleSheet(_sheet())
        self.browser.setHtml(f"<body>{found.html}</body>")
        self.browser.setAccessibleDescription(found.title)
        self.browser.verticalScrollBar().setValue(at)
        self.back.setEnabled(bool(self._past))
        self._mark_contents()
        self._mark_hits()

    def _mark_contents(self) -> None:
        self.list.blockSignals(True)
        self.list.setCurrentRow(
            next((row for row, item in enumerate(self._items()) if item.data(PAGE) == self.page), -1)
        )
        self.list.blockSignals(False)

    def _items(self) -> Iterator[QListWidgetItem]:
        return (item for number in range(self.list.count()) if (item := self.list.item(number)) is not None)

    def _chosen(self, item: QListWidgetItem | None) -> None:
        if item is not None and item.data(PAGE):
            self.show_page(item.data(PAGE))

    def _follow(self, link: QUrl) -> None:
        target = link.toString()
        if not is_ours(target):
            QDesktopServices.openUrl(link)
        elif target.startswith("#"):
            self.show_page(self.page + target)
        else:
            self.show_page(_beside(self.page, target))

    def _back(self) -> None:
        if self._past:
            self._show(*self._past.pop())

    # --- looking for something ----------------------------------------------------------------

    def look_for(self) -> None:
        self.search.setFocus()
        self.search.selectAll()

    def _look(self) -> None:
        wanted = self.search.text().strip().lower()
        for item in self._items():
            page = item.data(PAGE)
            item.setHidden(bool(wanted) and (page is None or wanted not in self._text_of(page)))
        self._mark_hits()
        if self._found:
            self.browser.setTextCursor(self._found[0])

    def _text_of(self, page: str) -> str:
        if page not in self._texts:
            document = QTextDocument()
            document.setHtml(self.library.page(page).html)
            self._texts[page] = document.toPlainText().lower()
        return self._texts[page]

    def _mark_hits(self) -> None:
        wanted = self.search.text().strip()
        self._found = list(_places_of(self.browser.document(), wanted)) if wanted else []
        marks = []
        for cursor in self._found:
            mark = QTextEdit.ExtraSelection()
            mark.cursor = cursor
            mark.format.setBackground(theme().colour("accent-soft"))
            marks.append(mark)
        self.browser.setExtraSelections(marks)
        for button in (self.next_hit, self.last_hit):
            button.setEnabled(bool(self._found))
        if not wanted:
            self.hits.setText("")
        elif self._found:
            self.hits.setText(translate_many("{count} place here", "{count} places here", len(self._found)))
        else:
            pages = sum(bool(item.data(PAGE)) and not item.isHidden() for item in self._items())
            said = translate_many("Not here, but on {count} page", "Not here, but on {count} pages", pages)
            self.hits.setText(said if pages else _("Found nowhere"))

    def _step(self, by: int) -> None:
        """To the next or the previous place that was found, round the end."""
        if not self._found:
            first = next((item for item in self._items() if item.data(PAGE) and not item.isHidden()), None)
            if self.search.text().strip() and first is not None:
                self.show_page(first.data(PAGE))
            if self._found:
                self.browser.setTextCursor(self._found[0])
            return
        at = self.browser.textCursor().selectionStart()
        starts = [cursor.selectionStart() for cursor in self._found]
        here = starts.index(at) if at in starts else -1 if by > 0 else 0
        self.browser.setTextCursor(self._found[(here + by) % len(starts)])

    # --- looks --------------------------------------------------------------------------------

    def closed(self) -> None:
        self._settled.stop()

    def _restyled(self) -> None:
        for item in self._items():
            if item.data(PAGE) is None:
                item.setForeground(theme().colour("text-2"))
        if self.page:
            self._show(self.page, self.browser.verticalScrollBar().value())


def _sheet() -> str:
    look = theme()
    colours = {name.replace("-", "_"): colour for name, colour in look.colours.items()}
    pixels = {f"px_{kind}": str(look.px(kind)) for kind in look.type_px}
    return SHEET.substitute(colours | pixels, mono=look.font("mono").family())


def _places_of(document: QTextDocument, wanted: str) -> Iterator[QTextCursor]:
    cursor = document.find(wanted)
    while not cursor.isNull():
        yield QTextCursor(cursor)
        cursor = document.find(wanted, cursor)


def _beside(page: str, target: str) -> str:
    """A link of a page, from the folder of all pages."""
    return QUrl(page).resolved(QUrl(target)).toString()
