"""A real Chromium for end-to-end tests, through Playwright's asynchronous side: its synchronous one stops our loop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest_asyncio
from playwright.async_api import Browser, Page, async_playwright

from tests.services import chromium

TIMEOUT_MILLISECONDS = 10_000

NewPage = Callable[[], Awaitable[Page]]


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
    """What opens a page as another person would: with cookies and storage of its own.

    A test whose pages throw where nobody catches fails at its end.
    """
    thrown: list[str] = []
    contexts = []

    async def open_page() -> Page:
        contexts.append(context := await browser.new_context())
        context.set_default_timeout(TIMEOUT_MILLISECONDS)
        page = await context.new_page()
        page.on("pageerror", lambda error: thrown.append(str(error)))
        return page

    yield open_page
    for context in contexts:
        await context.close()
    assert not thrown, f"uncaught in a page: {thrown}"
