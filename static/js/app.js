/* Headgate works without this file; with it, it is quicker to use.
   Loaded in <head> without defer so that a chosen theme is there before the first paint. Everything
   listens on the document, so whatever htmx brings in later needs no setting up. The texts a person reads
   stand in the templates (data attributes and <template id="toast-templates">). */
"use strict";

(() => {
  const root = document.documentElement;
  const byId = (id) => document.getElementById(id);

  // Theme. No choice means the system's.

  const savedTheme = () => {
    try {
      return localStorage.getItem("theme");
    } catch {
      return null; // storage may be forbidden
    }
  };

  const showTheme = (theme) => {
    if (theme === "light" || theme === "dark") root.dataset.theme = theme;
    else delete root.dataset.theme;
    for (const button of document.querySelectorAll("[data-theme-choice]"))
      button.setAttribute("aria-pressed", String(button.dataset.themeChoice === (theme || "system")));
  };

  const chooseTheme = (theme) => {
    const kept = theme === "system" ? null : theme;
    try {
      if (kept) localStorage.setItem("theme", kept);
      else localStorage.removeItem("theme");
    } catch {
      /* then it lasts until the next page */
    }
    showTheme(kept);
  };

  showTheme(savedTheme());

  // Times: <time datetime> says how long ago; its title says exactly when, in the reader's zone. Whoever cannot hover, or
  // wants to compare, asks for exact times. The server knows the zone from a cookie, and reads what is typed in it.

  const zone = new Intl.DateTimeFormat().resolvedOptions().timeZone;
  const saysZone = `headgate_zone=${zone}`;
  // Only where the page can be had anew: what its forms say of the zone must be what the server takes it for.
  if (zone && zone !== root.dataset.zone && "asked" in root.dataset && !document.cookie.split("; ").includes(saysZone)) {
    document.cookie = `${saysZone}; path=/; max-age=31536000; samesite=lax${location.protocol === "https:" ? "; secure" : ""}`;
    if (document.cookie.includes(saysZone)) location.reload();
  }

  const wantsExact = () => {
    try {
      return localStorage.getItem("times") === "exact";
    } catch {
      return false;
    }
  };
  const chooseTimes = () => {
    try {
      localStorage.setItem("times", wantsExact() ? "ago" : "exact");
    } catch {
      return; // then they stay as they are
    }
    showTimes();
  };

  const exact = new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "long" });
  const minute = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short", year: "numeric", hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
  const day = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short", year: "numeric" });
  const relative = new Intl.RelativeTimeFormat(undefined, { numeric: "auto", style: "short" });
  const units = [["day", 86400], ["hour", 3600], ["minute", 60]];

  const showTimes = (within = document) => {
    const exactly = wantsExact();
    for (const button of document.querySelectorAll("[data-times-choice]")) button.setAttribute("aria-pressed", String(exactly));
    for (const time of within.querySelectorAll("time[datetime]")) {
      const then = new Date(time.dateTime);
      if (Number.isNaN(then.valueOf())) continue;
      const seconds = (then - Date.now()) / 1000;
      const [unit, length] = units.find(([, size]) => Math.abs(seconds) >= size) || ["second", Infinity]; // "now"
      time.title = exact.format(then);
      if (time.dataset.exact === "day") time.textContent = day.format(then);
      else if (exactly || "exact" in time.dataset) time.textContent = minute.format(then);
      else time.textContent = Math.abs(seconds) > 30 * 86400 ? day.format(then) : relative.format(Math.trunc(seconds / length), unit);
    }
  };

  // Toasts and announcements.

  const announce = (text) => {
    const region = byId("announcer");
    if (!region || !text) return;
    region.textContent = "";
    setTimeout(() => (region.textContent = text), 60); // the same words twice are still news
  };

  const welcomed = new WeakSet();

  const leaveAfter = (toast) => {
    const stays = Number(toast.dataset.stays);
    if (!stays || welcomed.has(toast)) return;
    welcomed.add(toast);
    const timer = setTimeout(() => toast.remove(), stays);
    const hold = () => clearTimeout(timer);
    toast.addEventListener("pointerenter", hold);
    toast.addEventListener("focusin", hold);
  };

  // Who goes to a message comes back to where they were when it is put away.
  let beforeMessage = null;
  document.addEventListener("focusin", ({ target, relatedTarget }) => {
    if (target.closest?.(".toast") && !relatedTarget?.closest(".toast")) beforeMessage = relatedTarget;
  });

  const putAway = (message) => {
    const hadFocus = message.contains(document.activeElement);
    message.remove();
    if (hadFocus && beforeMessage?.isConnected) beforeMessage.focus();
  };

  const toast = (kind, text) => {
    const model = byId("toast-templates")?.content.querySelector(`[data-toast="${kind}"]`);
    if (!model) return;
    const copy = model.cloneNode(true);
    if (text) copy.querySelector(".toast-text").textContent = text;
    byId("toasts").append(copy);
    announce(copy.querySelector(".toast-text").textContent);
    leaveAfter(copy);
  };

  // Toasts that came with a page or a fragment.
  const showToasts = () => document.querySelectorAll("#toasts > .toast").forEach(leaveAfter);

  // Focus goes back to where it came from, also when that element has been swapped for a new one.

  let returnTo = null; // ids, the first of which is there

  const firstOf = (ids) => (ids || "").split(" ").map(byId).find(Boolean);

  const focusReturned = () => {
    const target = firstOf(returnTo);
    returnTo = null;
    if (target && (document.activeElement === document.body || !document.activeElement)) target.focus();
  };

  const removeDrawer = (drawer) => {
    returnTo = drawer.dataset.returnFocus || null;
    drawer.remove();
    const trigger = firstOf(returnTo);
    if (trigger?.hasAttribute("aria-expanded")) trigger.setAttribute("aria-expanded", "false");
    focusReturned();
  };

  // Whoever cares for what is typed in it (unsaved.js) may hold the event back, and close it later.
  const closeDrawer = (drawer) => {
    const close = () => removeDrawer(drawer);
    if (drawer.dispatchEvent(new CustomEvent("closedrawer", { bubbles: true, cancelable: true, detail: { close } }))) close();
  };

  const openDialog = (dialog, opener) => {
    dialog.showModal();
    dialog.addEventListener("close", () => opener?.isConnected && opener.focus(), { once: true });
  };

  const copyText = async (button) => {
    try {
      await navigator.clipboard.writeText(button.dataset.copy);
    } catch {
      return toast("copy-failed");
    }
    button.classList.add("is-copied");
    announce(button.dataset.copied);
    setTimeout(() => button.classList.remove("is-copied"), 1600);
  };

  // What has opened something closes it again, instead of asking the server once more.
  document.addEventListener("click", (event) => {
    const opener = event.target.closest?.('[aria-expanded="true"][id]');
    const drawer = opener && document.querySelector(`.drawer[data-return-focus~="${CSS.escape(opener.id)}"]`);
    if (!drawer) return;
    event.preventDefault();
    event.stopPropagation();
    closeDrawer(drawer);
  }, true);

  document.addEventListener("click", (event) => {
    const hit = (selector) => event.target.closest?.(selector);
    let found;

    for (const menu of document.querySelectorAll("details.menu[open]"))
      if (!menu.contains(event.target)) menu.open = false;

    if ((found = hit("[data-copy]"))) copyText(found);
    else if ((found = hit("[data-theme-choice]"))) chooseTheme(found.dataset.themeChoice);
    else if (hit("[data-times-choice]")) chooseTimes();
    else if (hit("[data-dismiss]")) putAway(hit(".toast, .notice"));
    else if (hit("[data-close-drawer]") && (found = hit(".drawer"))) {
      event.preventDefault();
      closeDrawer(found);
    } else if (hit("[data-close-dialog]")) {
      event.preventDefault();
      hit("dialog")?.close();
    } else if ((found = hit("[data-dialog]")) && byId(found.dataset.dialog)) {
      event.preventDefault();
      openDialog(byId(found.dataset.dialog), found);
    } else if (event.target.matches?.("dialog[data-light-dismiss]")) event.target.close();
  });

  // Escape closes what is open. All other keys are in keys.js, and lists to choose from in combobox.js.

  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    const menu = document.querySelector("details.menu[open]");
    const drawer = event.target.closest?.(".drawer");
    if (menu) {
      menu.open = false;
      menu.querySelector("summary").focus();
    } else if (drawer && !event.target.closest("dialog")) {
      event.preventDefault(); // or it would also close the dialog that may ask first
      closeDrawer(drawer);
    }
  });

  // htmx.

  document.addEventListener("announce", (event) => announce(event.detail?.value ?? event.detail?.text));
  document.addEventListener("toast", (event) => toast(event.detail?.level || "info", event.detail?.value ?? event.detail?.text));

  /* django-htmx's debugging aid puts Django's error page in place of the whole document with eval, which our
     Content-Security-Policy forbids. We say what went wrong ourselves, the same way in development and in production. */
  window.addEventListener("htmx:beforeOnLoad", (event) => {
    if ([400, 403, 404, 500].includes(event.detail.xhr.status)) event.stopPropagation();
  }, true);

  document.addEventListener("htmx:responseError", (event) => {
    const { status } = event.detail.xhr;
    const outcome = status === 503 && event.detail.xhr.getResponseHeader("X-Outcome");
    if (outcome === "saved" || outcome === "unknown") { toast(outcome); return; }
    toast({ 400: "400", 403: "403", 404: "404", 405: "400", 413: "400", 429: "429", 503: "503" }[status] || "500");
  });
  for (const name of ["htmx:sendError", "htmx:timeout"]) document.addEventListener(name, () => toast("network"));

  let waiting = 0;
  const returns = new WeakMap(); // by request: completions that come late take nobody's way back
  document.addEventListener("htmx:beforeRequest", ({ detail }) => {
    const ids = detail.elt.closest?.("[data-return-focus]")?.dataset.returnFocus || detail.elt.id || null;
    returns.set(detail.xhr, ids);
    // The request itself says when it ends: of what has left the page meanwhile, nothing is heard there any more.
    const count = (change) => () => {
      waiting += change;
      root.classList.toggle("is-loading", waiting > 0);
    };
    detail.xhr.addEventListener("loadstart", count(1));
    detail.xhr.addEventListener("loadend", count(-1));
  });
  document.addEventListener("htmx:afterSettle", (event) => {
    const where = event.detail.elt;
    showTimes(where.parentElement || document);
    showToasts();
    const opener = firstOf(where.querySelector?.(".drawer[data-return-focus]")?.dataset.returnFocus);
    if (opener?.hasAttribute("aria-expanded")) opener.setAttribute("aria-expanded", "true");
    const arrived = where.matches?.("[autofocus]") ? where : where.querySelector?.("[autofocus]");
    returnTo = returns.get(event.detail.xhr) || null;
    if (arrived) arrived.focus();
    else focusReturned();
    const page = event.detail.boosted && where.querySelector?.("#content");
    if (!page) return;
    arrive();
    if (document.activeElement === document.body) page.focus({ preventScroll: true });
  });

  // A page is there, loaded or, after an undo, put in the place of the one before.
  const arrive = () => {
    showTheme(savedTheme());
    showTimes();
    document.querySelector(".tabs [aria-current]")?.scrollIntoView({ inline: "nearest", block: "nearest" }); // where they scroll
    announce([...document.querySelectorAll("#toasts .toast-text")].map((text) => text.textContent).join(" "));
    showToasts();
  };
  document.addEventListener("DOMContentLoaded", () => {
    arrive();
    setInterval(() => showTimes(), 60_000);
  });
})();
