"""Somebody who uses no mouse."""

import re

import pytest
from playwright.sync_api import expect

from tests.browser.arriving import arrived

FOCUSED = """() => {
  const one = document.activeElement;
  if (!one || one === document.body) return { name: "", seen: true };
  const ids = (one.getAttribute("aria-labelledby") || "").split(" ");
  const named = ids.map((id) => document.getElementById(id)?.innerText).join(" ").trim();
  const name = one.ariaLabel || [...(one.labels || [])].map((label) => label.innerText).join(" ") || named;
  const isDate = /^date/.test(one.type); // The browser itself marks the part of a date that is to be typed.
  const marked = isDate || [one, one.parentElement, ...one.querySelectorAll("*")].some((part) => {
    const { outlineStyle, outlineWidth, boxShadow } = getComputedStyle(part);
    return (outlineStyle !== "none" && outlineWidth !== "0px") || boxShadow !== "none";
  });
  return { name: (name || one.textContent || "").trim().replace(/\\s+/g, " "), seen: marked };
}"""


class Keyboard:
    """A page that is used without a mouse."""

    def __init__(self, page) -> None:
        self.page = page

    @property
    def focused(self) -> str:
        """What has the focus, by name."""
        return self.page.evaluate(FOCUSED)["name"]

    def press(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)

    def type(self, text: str) -> None:
        self.page.keyboard.type(text)

    def tab_to(self, name: str, key: str = "Tab") -> None:
        """Press Tab until this has the focus. Whatever has it on the way can be seen to have it."""
        passed = []
        for _ in range(250):
            self.press(key)
            here = self.page.evaluate(FOCUSED)
            assert here["seen"], f"Nobody sees that {here['name']!r} has the focus."
            if re.match(name, here["name"]):
                return
            passed.append(here["name"][:30])
        pytest.fail(f"No Tab leads to {name!r}; it passed {passed[:60]}")

    def go(self, name: str, key: str = "Enter") -> None:
        """Press Tab until this has the focus, and press this key on it."""
        self.tab_to(name)
        self.press(key)

    def fill(self, name: str, text: str) -> None:
        """Press Tab until this field has the focus, and type this in the place of what stands in it."""
        self.tab_to(name)
        self.press("ControlOrMeta+a")
        self.type(text)

    def is_on(self, title: str | re.Pattern[str]) -> None:
        """Another page has been loaded."""
        arrived(self.page, title)

    def is_at(self, locator) -> None:
        expect(locator).to_be_focused()

    def is_asked(self, title: str | re.Pattern[str]) -> None:
        """A drawer has opened, and whoever uses a screen reader hears its title."""
        expect(self.page.locator(".drawer h3:focus")).to_have_text(title)

    def is_asked_again(self, title: str | re.Pattern[str], opener) -> None:
        """Escape puts the question away and leads back to what opened it, which asks once more."""
        self.press("Escape")
        self.is_at(opener)
        self.press("Enter")
        self.is_asked(title)

    def turn_default(self, name: str):
        """Turn a flag's default to the other side, and return its switch and whether that was on."""
        switch = self.page.get_by_role("switch", name=f"{name} by default")
        was = switch.is_checked()
        self.tab_to(f"{name} by default")
        self.press("Space")
        self.is_asked(re.compile(name))
        self.go("Turn (on|off) for")
        expect(switch).to_be_checked(checked=not was)
        return switch, was
