"""Writing with an input method, in a real Chromium: the Enter that takes a candidate is not the Enter that sends.

Chromium's own sequence comes from the browser. Safari's, whose composition ends before the keydown, is played to it:
``keyCode`` 229 with ``isComposing`` false.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest
from playwright.async_api import CDPSession, Locator, Page, expect

from tests.people import make_room
from tests.plugins.browser import NewPage
from tests.services.salas import Salas

from .test_page import enter, fill_in, log, say

OF_AN_INPUT_METHOD = 229


async def keyboard(page: Page) -> CDPSession:
    return await page.context.new_cdp_session(page)


async def press(keys: CDPSession, key: str, code: int, text: str = "") -> None:
    """As the browser's own keyboard does: the default action follows, unless the page prevents it."""
    down = {"type": "keyDown" if text else "rawKeyDown", "key": key, "code": key, "windowsVirtualKeyCode": code}
    await keys.send("Input.dispatchKeyEvent", down | ({"text": text} if text else {}))
    await keys.send("Input.dispatchKeyEvent", {"type": "keyUp", "key": key, "code": key, "windowsVirtualKeyCode": code})


async def compose(keys: CDPSession, text: str) -> None:
    await keys.send("Input.imeSetComposition", {"text": text, "selectionStart": len(text), "selectionEnd": len(text)})


async def take_candidate_as_safari(page: Page, text: str, *, types: str = "") -> None:
    """``types`` is what the key would do besides, where the page does not prevent it."""
    keys = await keyboard(page)
    await compose(keys, text)
    await keys.send("Input.insertText", {"text": text})  # compositionend
    await press(keys, "Enter", OF_AN_INPUT_METHOD, types)


async def take_candidate_as_chromium(page: Page, text: str) -> None:
    keys = await keyboard(page)
    await compose(keys, text)
    await press(keys, "Enter", OF_AN_INPUT_METHOD)
    await keys.send("Input.insertText", {"text": text})


@pytest.mark.parametrize("take_candidate", [take_candidate_as_safari, take_candidate_as_chromium])
async def test_a_candidate_is_taken_and_then_the_message_is_sent(
    embedded_server: Salas, new_page: NewPage, take_candidate: Callable[[Page, str], Awaitable[None]]
) -> None:
    room = await embedded_server.acall(make_room)
    page = await enter(await new_page(), embedded_server, room, "Ana")
    box = page.get_by_role("textbox", name="Mensagem", exact=True)
    await box.focus()
    await take_candidate(page, "日本")
    await expect(box).to_have_value("日本")
    await expect(page.locator(".message")).to_have_count(0)
    await take_candidate(page, "語")
    await box.press("Enter")
    await expect(log(page).locator("[data-message-id] .text")).to_have_text("日本語")


async def editor_of(page: Page, text: str) -> Locator:
    await say(page, text)
    await page.locator("[data-message-id]").get_by_role("button", name="Editar").click()
    return page.get_by_label("Editar mensagem")


async def test_an_edit_is_neither_saved_nor_given_up_by_keys_of_the_input_method(
    embedded_server: Salas, new_page: NewPage
) -> None:
    room = await embedded_server.acall(make_room)
    page = await enter(await new_page(), embedded_server, room, "Ana")
    editor = await editor_of(page, "古い")
    await editor.fill("")
    await take_candidate_as_safari(page, "新しい")
    await press(await keyboard(page), "Escape", OF_AN_INPUT_METHOD)
    await expect(editor).to_have_value("新しい")
    await editor.press("Escape")
    await expect(editor).to_have_count(0)
    await expect(log(page)).to_contain_text("古い")


async def test_a_candidate_for_the_name_does_not_enter_the_room(embedded_server: Salas, new_page: NewPage) -> None:
    room = await embedded_server.acall(make_room)
    page = await new_page()
    await fill_in(page, embedded_server, room.slug, "")
    name = page.get_by_label("Seu nome")
    await name.focus()
    asked: list[str] = []
    page.on("request", lambda request: asked.append("join") if "joinRoom" in (request.post_data or "") else None)
    await take_candidate_as_safari(page, "花子", types="\r")  # which submits a form
    await expect(name).to_have_value("花子")
    assert asked == []
    await name.press("Enter")
    await page.wait_for_url(f"**/salas/{room.slug}/")
    assert len(asked) == 1


async def test_shift_and_alt_make_a_new_line_and_ctrl_sends(embedded_server: Salas, new_page: NewPage) -> None:
    room = await embedded_server.acall(make_room)
    page = await enter(await new_page(), embedded_server, room, "Ana")
    box = page.get_by_role("textbox", name="Mensagem", exact=True)
    await box.fill("um")
    await box.press("Shift+Enter")
    await box.press("Alt+Enter")
    await expect(page.locator(".message")).to_have_count(0)
    await box.press("Control+Enter")
    await expect(log(page).locator("[data-message-id]")).to_contain_text("um")
    await expect(box).to_have_value("")


async def test_two_quick_presses_send_once(embedded_server: Salas, new_page: NewPage) -> None:
    room = await embedded_server.acall(make_room)
    page = await new_page()
    await fill_in(page, embedded_server, room.slug, "Ana")
    asked: list[str] = []
    page.on("request", lambda request: asked.append("join") if "joinRoom" in (request.post_data or "") else None)
    await page.get_by_role("button", name="Entrar", exact=True).dblclick()
    await page.wait_for_url(f"**/salas/{room.slug}/")
    await page.locator("[data-connection=connected]").wait_for(state="attached")
    box = page.get_by_role("textbox", name="Mensagem", exact=True)
    await box.fill("só uma vez")
    await page.get_by_role("button", name="Enviar").evaluate("button => { button.click(); button.click(); }")
    await say(page, "e outra")
    await expect(log(page).locator("[data-message-id] .text")).to_have_text(["só uma vez", "e outra"])
    assert asked == ["join"]
