"""A real Chromium for end-to-end tests, through Playwright's asynchronous side: its synchronous one stops our loop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any
from urllib.parse import urlsplit

import pytest_asyncio
from playwright.async_api import Browser, Page, Request, async_playwright

from tests.services import chromium

TIMEOUT_MILLISECONDS = 10_000

NewPage = Callable[..., Awaitable[Page]]


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    program = await asyncio.to_thread(chromium.find)
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=program,
            args=chromium.ARGUMENTS,
            handle_sigint=False,  # Ctrl-C is for the test run, which then closes it in order
        )
        yield browser
        await browser.close()


@pytest_asyncio.fixture(loop_scope="session")
async def new_page(browser: Browser) -> AsyncIterator[NewPage]:
    """What opens a page as another person would: with cookies and storage of its own. Options are of the context.

    A test fails at its end when its pages throw where nobody catches, do what their Content-Security-Policy forbids, or
    ask anything of another site than the one that they are of.
    """
    thrown: list[str] = []
    violations: list[str] = []
    outside: list[str] = []
    contexts = []

    async def open_page(**options: Any) -> Page:
        contexts.append(context := await browser.new_context(**options))
        context.set_default_timeout(TIMEOUT_MILLISECONDS)
        page = await context.new_page()
        page.on("console", lambda message: violations.append(message.text) if is_violation(message.text) else None)
        page.on("request", lambda request: None if is_own(request) else outside.append(request.url))
        page.on("pageerror", lambda error: thrown.append(str(error)))
        return page

    yield open_page
    for context in contexts:
        await context.close()
    assert not thrown, f"uncaught in a page: {thrown}"
    assert not violations, f"against the Content-Security-Policy: {violations}"
    assert not outside, f"asked of another site: {outside}"


def is_violation(said: str) -> bool:
    """What Chromium says on the console, of workers too."""
    return "Content Security Policy" in said or "Permissions-Policy" in said or "Permissions policy" in said


def is_own(request: Request) -> bool:
    """Whether it goes to a server of this machine; ``data:`` and ``blob:`` go nowhere."""
    url = urlsplit(request.url)
    return url.scheme in {"data", "blob"} or url.hostname in {"127.0.0.1", "localhost"}
