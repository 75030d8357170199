/* Comboboxes: the command palette, and search fields that complete words (WAI-ARIA combobox with a listbox).
   Focus stays in the input, the arrows move a selection in the list; options come from the server by htmx. An option is
   a link, which Enter follows, or has data-fill, the text that the input is to hold. */
"use strict";

(() => {
  const boxOf = (element) => element?.closest?.('input[role="combobox"]');
  const listOf = (input) => document.getElementById(input.getAttribute("aria-controls"));
  const inputOf = (list) => list?.id && document.querySelector(`input[role="combobox"][aria-controls="${list.id}"]`);
  const optionsOf = (input) => [...listOf(input).querySelectorAll('[role="option"]')];
  const isCompleting = (input) => "completes" in input.dataset;

  const select = (input, option) => {
    for (const other of optionsOf(input)) other.setAttribute("aria-selected", String(other === option));
    if (option) input.setAttribute("aria-activedescendant", option.id);
    else input.removeAttribute("aria-activedescendant");
    option?.scrollIntoView({ block: "nearest" });
  };

  const show = (input, isOpen) => {
    listOf(input).hidden = !isOpen;
    input.setAttribute("aria-expanded", String(isOpen));
    if (!isOpen) select(input, null);
  };

  const fill = (input, option) => {
    input.value = option.dataset.fill;
    show(input, false);
    // A word that is complete is searched for at once; one that is not, goes on.
    input.dispatchEvent(new Event("complete" in option.dataset ? "filled" : "complete", { bubbles: true }));
  };

  const choose = (input, option) => ("fill" in option.dataset ? fill(input, option) : option.click());

  document.addEventListener("keydown", (event) => {
    const input = boxOf(event.target);
    if (!input) return;
    const isOpen = !listOf(input).hidden;
    const all = isOpen ? optionsOf(input) : [];
    const at = all.findIndex((option) => option.getAttribute("aria-selected") === "true");
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step && all.length) {
      event.preventDefault();
      // Past either end lies the input itself, where nothing is selected; the palette goes round.
      const to = isCompleting(input) ? (at + 1 + step + all.length + 1) % (all.length + 1) - 1 : (Math.max(at, step < 0 ? 0 : at) + step + all.length) % all.length;
      select(input, all[to]);
    } else if (event.key === "ArrowDown" && isCompleting(input)) {
      event.preventDefault();
      input.dispatchEvent(new Event("complete", { bubbles: true }));
    } else if (event.key === "Enter" && all[at]) {
      event.preventDefault();
      choose(input, all[at]);
    } else if (event.key === "Enter" && isCompleting(input)) show(input, false);
    else if (event.key === "Escape" && isOpen && isCompleting(input)) {
      event.preventDefault();
      show(input, false);
    }
  });

  document.addEventListener("pointerdown", (event) => {
    if (event.target.closest?.("[data-fill]")) event.preventDefault(); // the input keeps the focus
  });
  document.addEventListener("click", (event) => {
    const option = event.target.closest?.("[data-fill]");
    if (option) fill(inputOf(option.closest('[role="listbox"]')), option);
  });
  document.addEventListener("focusout", (event) => {
    const input = boxOf(event.target);
    if (input && isCompleting(input)) show(input, false);
  });

  document.addEventListener("htmx:configRequest", (event) => {
    const input = event.detail.elt;
    if (input.dataset?.completes !== undefined) event.detail.parameters.caret = input.selectionStart;
  });
  document.addEventListener("htmx:afterSettle", (event) => {
    const input = inputOf(event.detail.elt);
    if (!input) return;
    const options = optionsOf(input);
    if (!isCompleting(input)) return select(input, options[0]);
    // What comes late may complete a text that is no longer there: a chip was taken away meanwhile.
    const isLate = event.detail.requestConfig.parameters[input.name] !== input.value;
    show(input, !isLate && options.length > 0 && document.activeElement === input);
  });

  // A list says which query it shows. The field follows, unless the list was asked for by what is typed there.
  document.addEventListener("htmx:afterSettle", (event) => {
    const list = document.querySelector("[data-query]");
    const field = document.querySelector("input[data-completes]");
    const asked = event.detail.requestConfig?.elt;
    if (list && field && asked?.closest?.("[data-return-focus='q']")) field.value = list.dataset.query;
  });
})();
