/* What somebody typed is not dropped without asking. Where a drawer would close, or something else take its place, a
   dialog of ours asks; where the page would be left, the browser does. Only forms that change something count, and only
   while what stands in them is not what they came with. */
"use strict";

(() => {
  const WORDS = "textarea, input:not([type=hidden], [type=checkbox], [type=radio], [type=submit], [type=button])";
  const begun = new WeakMap(); // form: what stood in it before somebody came to it
  const given = new WeakSet(); // forms that were sent, or may be dropped
  let isLeaving = false; // because the server said so

  const dialog = () => document.getElementById("unsaved");
  const state = (form) => new URLSearchParams(new FormData(form)).toString();

  const isTyped = (form) => {
    // A switch, which asks first (`ask`), is drawn in the state that is: nothing is typed into it.
    if (form.method !== "post" || form.elements.ask || given.has(form)) return false;
    // One that came back, refused or to be confirmed, came with what had been typed.
    if (form.matches("[data-unsaved]") || form.querySelector("[role=alert]"))
      return [...form.querySelectorAll(WORDS)].some((field) => field.value);
    return begun.has(form) && begun.get(form) !== state(form);
  };
  const typed = (within = document) => [...document.forms].filter((form) => within.contains(form) && isTyped(form));

  const ask = (forms, proceed) => {
    const from = document.activeElement;
    dialog().returnValue = "";
    dialog().showModal();
    dialog().addEventListener("close", () => {
      if (dialog().returnValue !== "drop") return from?.focus();
      for (const form of forms) given.add(form);
      proceed();
    }, { once: true });
  };

  document.addEventListener("focusin", ({ target }) => {
    if (target.form && !begun.has(target.form)) begun.set(target.form, state(target.form));
  });
  for (const name of ["input", "change"])
    document.addEventListener(name, ({ target }) => {
      if (!target.form) return;
      given.delete(target.form);
      if (!begun.has(target.form)) begun.set(target.form, null); // filled in by nobody who came to it: kept.js
    });

  document.addEventListener("closedrawer", (event) => {
    const forms = typed(event.target);
    if (!forms.length || !dialog()) return;
    event.preventDefault();
    ask(forms, event.detail.close);
  });

  // A change may answer with the whole that it is part of; everything else, with what it names.
  document.addEventListener("htmx:confirm", (event) => {
    const { elt, target, verb, issueRequest } = event.detail;
    const own = elt.form ?? elt.closest("form");
    const place = (verb !== "get" && elt.closest("[data-whole]")) || target;
    const forms = dialog() && place ? typed(place).filter((form) => form !== own) : [];
    if (!forms.length) return;
    event.preventDefault();
    ask(forms, () => issueRequest(true));
  });

  document.addEventListener("submit", (event) => {
    if (!event.defaultPrevented && event.target.method === "post") given.add(event.target);
  });
  document.addEventListener("htmx:beforeOnLoad", (event) => {
    if (["HX-Redirect", "HX-Refresh", "HX-Location"].some((name) => event.detail.xhr.getResponseHeader(name))) isLeaving = true;
  });
  window.addEventListener("beforeunload", (event) => {
    if (document.body.dataset.person && !isLeaving && typed().length) event.preventDefault();
  });
})();
