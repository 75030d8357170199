"""Opens a page in Chromium and prints, as lines of JSON, its calls to Headgate and what it says, until that is "on".

A process of its own: Playwright runs an event loop, on which Django would refuse to work. Arguments: browser, address.
"""

import json
import sys

from playwright.sync_api import Page, Response, sync_playwright


def say(**what: object) -> None:
    print(json.dumps(what), flush=True)


def note(response: Response) -> None:
    if "/ofrep/" in response.url:
        request = response.request
        say(method=request.method, status=response.status, held=request.headers.get("if-none-match"))


def watch(page: Page, address: str) -> None:
    page.on("response", note)
    page.on("console", lambda said: say(console=said.text, kind=said.type))
    page.goto(address)
    for answer in ("off", "on"):
        page.wait_for_function("answer => document.querySelector('#answer').value === answer", arg=answer)
        say(shown=answer)


with sync_playwright() as playwright:
    browser = playwright.chromium.launch(executable_path=sys.argv[1], args=["--no-sandbox", "--disable-gpu"])
    watch(browser.new_page(), sys.argv[2])
    browser.close()
