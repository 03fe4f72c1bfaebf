"""What a browser would send of a form on a page: for tests without a browser."""

from __future__ import annotations

from html.parser import HTMLParser

from werkzeug.datastructures import MultiDict


class _Fields(HTMLParser):
    """Gathers the fields of the form with this id."""

    def __init__(self, form_id: str) -> None:
        super().__init__()
        self.form_id, self.inside, self.found = form_id, False, list[tuple[str, str]]()
        self._select, self._options = "", list[tuple[str, bool]]()
        self._area: tuple[str, list[str]] | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        at = {name: value if value is not None else "" for name, value in attrs}
        if tag == "form":
            self.inside = at.get("id") == self.form_id
        elif not self.inside:
            return
        elif tag == "input" and at.get("name"):
            kind = at.get("type", "text")
            if kind not in ("checkbox", "radio") or "checked" in at:
                self.found.append((at["name"], at.get("value", "")))
        elif tag == "select":
            self._select, self._options = at.get("name", ""), []
        elif tag == "option":
            self._options.append((at.get("value", ""), "selected" in at))
        elif tag == "textarea":
            self._area = (at.get("name", ""), [])

    def handle_data(self, data: str) -> None:
        if self._area is not None:
            self._area[1].append(data)

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self.inside = False
        elif tag == "select" and self._select:
            chosen = [value for value, selected in self._options if selected]
            self.found.append((self._select, (chosen or [self._options[0][0]])[-1]))
            self._select = ""
        elif tag == "textarea" and self._area is not None:
            self.found.append((self._area[0], "".join(self._area[1])))
            self._area = None


def fields_of(page: str, form_id: str) -> MultiDict[str, str]:
    """Name and value of each field of a form as it stands on a page."""
    parser = _Fields(form_id)
    parser.feed(page)
    return MultiDict(parser.found)
