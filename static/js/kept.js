/* What somebody typed outlives their session. When a request is answered with "sign in first", the fields of its form
   are put aside for this tab, and put back once the same person has signed in: for half an hour, and only once. Never
   kept are passwords, files and hidden fields, but for the version that the form was drawn with: whoever changed the
   same thing meanwhile is told of, and not written over. The form in a drawer is shown on the page of its own. */
"use strict";

(() => {
  const NAME = "kept";
  const HOLDS = 30 * 60_000;
  const FIELDS = "textarea, select, input:not([type=hidden], [type=password], [type=file], [type=submit], [type=button])";
  const SEEN = ["version", "seen"]; // hidden fields that say which state a form was drawn with
  const OURS = ["csrfmiddlewaretoken", "next", "ask", ...SEEN]; // not part of the address of a drawer's page

  const person = () => document.body.dataset.person;
  const path = (form) => new URL(form.getAttribute("action") || location.href, location).pathname;

  const put = (entry) => {
    try {
      if (entry) sessionStorage.setItem(NAME, JSON.stringify(entry));
      else sessionStorage.removeItem(NAME);
    } catch {
      /* storage may be forbidden; then it has to be typed again */
    }
  };
  const read = () => {
    try {
      return JSON.parse(sessionStorage.getItem(NAME));
    } catch {
      return null;
    }
  };

  const keep = (form, isOver) => {
    const fields = [...form.querySelectorAll(FIELDS)].filter((field) => field.name);
    const values = fields.map((field) => [field.name, field.value, field.checked]);
    const seen = SEEN.map((name) => [name, form.elements[name]?.value]).filter(([, value]) => value !== undefined);
    put({ person: person(), at: Date.now(), path: path(form), isOver, values, seen });
  };

  const pageOf = (form) => {
    const here = location.pathname + location.search;
    if (!form.closest(".drawer")) return here;
    const query = new URLSearchParams();
    for (const field of form.querySelectorAll("input[type=hidden]"))
      if (field.name && !OURS.includes(field.name)) query.append(field.name, field.value);
    query.set("next", form.elements.next?.value || here);
    return `${path(form)}?${query}`;
  };

  const restore = () => {
    const entry = read();
    if (!entry) return;
    if (!person()) return put({ ...entry, isOver: true }); // the sign-in page: a form that was sent did not arrive
    put(null);
    const form = [...document.forms].find((one) => path(one) === entry.path && one.querySelector(FIELDS));
    if (!form || !entry.isOver || entry.person !== person() || Date.now() - entry.at > HOLDS) return;
    for (const [name, value, checked] of entry.values) {
      const field = [...form.querySelectorAll(FIELDS)].find(
        (one) => one.name === name && (!["checkbox", "radio"].includes(one.type) || one.value === value),
      );
      if (!field) continue;
      if (["checkbox", "radio"].includes(field.type)) field.checked = checked;
      else field.value = value;
      field.dispatchEvent(new Event("change", { bubbles: true }));
    }
    for (const [name, value] of entry.seen) if (form.elements[name]) form.elements[name].value = value;
    document.dispatchEvent(new CustomEvent("toast", { detail: { level: "kept" } }));
  };

  document.addEventListener("htmx:beforeOnLoad", (event) => {
    const { xhr, elt, requestConfig } = event.detail;
    const form = elt.closest?.("form") || document.querySelector(".drawer form");
    const redirect = xhr.status === 401 && xhr.getResponseHeader("HX-Redirect");
    if (!redirect || !form) return;
    event.preventDefault();
    // A suggestion: nobody is led away while they type.
    if (elt.matches?.("input") && elt.form?.method === "post" && requestConfig.verb === "get") return;
    keep(form, true);
    const address = new URL(redirect, location);
    address.searchParams.set("next", pageOf(form));
    location.assign(address);
  });

  // A form without htmx: only where it leads tells whether the session was over.
  document.addEventListener("submit", (event) => {
    if (event.target.method === "post" && !event.target.hasAttribute("hx-post") && person()) keep(event.target, false);
  });
  document.addEventListener("DOMContentLoaded", restore);
})();
