"""Driving the admin as its forms do: what the page holds is sent back, with some of it changed."""

from __future__ import annotations

from html.parser import HTMLParser

from django.test import Client
from django.urls import reverse

from rooms.models import Room

Fields = dict[str, str]


class FormReader(HTMLParser):
    """What the browser would send of the page's forms, but for buttons and what only scripts fill in."""

    def __init__(self) -> None:
        super().__init__()
        self.fields: Fields = {}
        self._select = self._text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "select":
            self._select = given["name"]
            self.fields[self._select] = ""
        elif tag == "option" and "selected" in given:
            self.fields[self._select] = given["value"]
        elif tag == "textarea":
            self._text = given["name"]
            self.fields[self._text] = ""
        elif tag == "input" and given.get("name") and is_sent(given):
            self.fields[given["name"]] = given.get("value", "on" if given["type"] == "checkbox" else "")

    def handle_data(self, data: str) -> None:
        if self._text:
            self.fields[self._text] += data.removeprefix("\n")

    def handle_endtag(self, tag: str) -> None:
        if tag == "textarea":
            self._text = ""


def is_sent(given: Fields) -> bool:
    kind = given.get("type", "text")
    return kind not in {"submit", "checkbox", "radio"} or (kind != "submit" and "checked" in given)


def page(name: str, *args: object) -> str:
    return reverse(f"admin:rooms_{name}", args=args)


def form_at(client: Client, url: str) -> Fields:
    reader = FormReader()
    reader.feed(client.get(url).content.decode())
    return {name: value for name, value in reader.fields.items() if "__prefix__" not in name and name != "q"}


def submit(client: Client, url: str, **changed: str) -> dict[str, list[str]]:
    """Send a form back; return the errors by field, those of members as ``user``, ``display_name`` …"""
    response = client.post(url, form_at(client, url) | changed)
    if response.status_code == 302:
        return {}
    assert response.status_code == 200
    context = response.context
    errors = dict(context["adminform"].form.errors)
    for inline in context["inline_admin_formsets"]:
        for row in inline.formset.errors:
            errors |= row
    return errors


def add_room(client: Client, **fields: str) -> dict[str, list[str]]:
    return submit(client, page("room_add"), **{"name": "Books", "slug": "books", "access": "OPEN"} | fields)


def change_room(client: Client, room: Room, **fields: str) -> dict[str, list[str]]:
    return submit(client, page("room_change", room.pk), **fields)


def run_action(client: Client, name: str, action: str, *pks: int, **more: str) -> str:
    """Run an action of a list on some rows; return the page that comes of it."""
    chosen = {"_selected_action": [str(pk) for pk in pks], "action": action, "index": "0"}
    return client.post(page(f"{name}_changelist"), chosen | more, follow=True).content.decode()
