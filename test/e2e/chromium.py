# SPDX-License-Identifier: Apache-2.0
"""A headless Chromium, and other programs that a test can do without."""

import contextlib
import os
import shutil
import tempfile

import pytest

# Without the first ones it looks for other hosts when it starts.
_ARGUMENTS = (
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--no-proxy-server",
    "--headless=new",
    "--no-sandbox",
    "--disable-dev-shm-usage",
    "--disable-gpu",
    "--disable-quic",
    "--ignore-certificate-errors",
    "--window-size=1100,800",
)


# For machines where something cannot be installed: WEBSOCKET_SKIP_CLIENTS=node,chromium
_SKIPPED = os.environ.get("WEBSOCKET_SKIP_CLIENTS", "").split(",")


def skippable(name):
    return pytest.mark.skipif(name in _SKIPPED, reason=f"WEBSOCKET_SKIP_CLIENTS names {name}")


@contextlib.contextmanager
def chromium():
    """A selenium driver of a browser that nobody has used."""
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or shutil.which("chromium-browser")
    with tempfile.TemporaryDirectory(prefix="websocket-e2e-chromium-", ignore_cleanup_errors=True) as profile:
        for argument in (*_ARGUMENTS, f"--user-data-dir={profile}"):
            options.add_argument(argument)
        driver = webdriver.Chrome(service=Service(shutil.which("chromedriver")), options=options)
        try:
            yield driver
        finally:
            with contextlib.suppress(Exception):  # it has ended by itself
                driver.quit()


def send_text(browser, what, text):
    """Writes it into the field of the demo page that is called so, and clicks on its button."""
    field = browser.find_element("id", f"{what}-input")
    browser.execute_script("arguments[0].value = arguments[1]", field, text)  # keys would not type an emoji
    browser.find_element("id", f"{what}-send").click()


def texts_of(browser, selector):
    """What each element shows that a CSS selector finds, all at one moment of the page."""
    return browser.execute_script("return [...document.querySelectorAll(arguments[0])].map(one => one.innerText.trim())", selector)


def text_of(browser, element):
    """What the element of this id shows."""
    (text,) = texts_of(browser, f"#{element}")
    return text
