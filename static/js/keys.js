/* Keyboard shortcuts; components/_keys.html lists them. Never while somebody types, and single keys only where they are
   not switched off (WCAG 2.2, 2.1.4). Places are links in the page that carry data-key. */
"use strict";

(() => {
  const ROWS = ".flag-row, .table tbody tr:not(.is-drawer), .history-item, .board-card";
  const isTyping = (element) => element?.matches?.("input:not([type='checkbox']), textarea, select, [contenteditable]");
  const byId = (id) => document.getElementById(id);

  const areOn = () => {
    try {
      return localStorage.getItem("keys") !== "off";
    } catch {
      return true; // storage may be forbidden
    }
  };
  const showChoice = () => {
    const button = document.querySelector("[data-keys-choice]");
    if (button) button.textContent = areOn() ? button.dataset.on : button.dataset.off;
  };

  const open = (dialog) => dialog && !dialog.open && dialog.showModal();

  const search = () => {
    const field = document.querySelector("[data-search]");
    field?.focus();
    field?.select();
  };

  // Rows: j and k go from one to the next, with real focus on its link, so that Enter opens it.
  const step = (by) => {
    const rows = [...document.querySelectorAll(ROWS)].filter((row) => row.querySelector("a, button"));
    if (!rows.length) return;
    const at = rows.findIndex((row) => row.contains(document.activeElement));
    const to = at < 0 ? (by > 0 ? 0 : rows.length - 1) : Math.min(Math.max(at + by, 0), rows.length - 1);
    rows[to].querySelector("a, button").focus();
    rows[to].scrollIntoView({ block: "nearest" });
  };

  // Choose the row one is on, for a change of many.
  const tick = () => document.activeElement.closest(ROWS)?.querySelector("[type='checkbox']")?.click();

  // A message leaves by itself, and stands at the end of the page: many Tabs away. Its own button, if it has one, is first.
  const message = () => [...document.querySelectorAll("#toasts .toast")].at(-1)?.querySelector("button")?.focus();

  let waitsForPlace = 0; // when g was pressed

  document.addEventListener("keydown", (event) => {
    if ((event.metaKey || event.ctrlKey) && !event.altKey && !event.shiftKey && event.key.toLowerCase() === "k") {
      if (!byId("palette")) return;
      event.preventDefault();
      return open(byId("palette"));
    }
    if (event.metaKey || event.ctrlKey || event.altKey || isTyping(event.target)) return;
    if (document.querySelector("dialog[open]") || !areOn()) return;
    const goes = Date.now() - waitsForPlace < 1500;
    waitsForPlace = 0;
    const place = goes && document.querySelector(`[data-key="g ${CSS.escape(event.key)}"]`);
    const act = {
      "/": search,
      "?": () => open(byId("keys")),
      g: () => (waitsForPlace = Date.now()),
      j: () => step(1),
      k: () => step(-1),
      x: tick,
      m: message,
      n: () => document.querySelector("[data-key='n']")?.click(),
    }[event.key];
    if (!place && !act) return;
    event.preventDefault();
    if (place) place.click();
    else act();
  });

  document.addEventListener("click", (event) => {
    if (!event.target.closest?.("[data-keys-choice]")) return;
    try {
      localStorage.setItem("keys", areOn() ? "off" : "on");
    } catch {
      /* then they stay as they are */
    }
    showChoice();
  });
  for (const name of ["DOMContentLoaded", "htmx:afterSettle"]) document.addEventListener(name, showChoice);
})();
