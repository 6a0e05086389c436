// Everything here is a convenience: without it the pages work by full posts.
"use strict";

const all = (selector, root = document) => Array.from(root.querySelectorAll(selector));
const byId = (id) => document.getElementById(id);
const typing = (node) => /^(INPUT|TEXTAREA|SELECT)$/.test(node.tagName) && !["checkbox", "radio"].includes(node.type);

// -- copy, show, find -----------------------------------------------------------------------------
function dress(root) {
  if (navigator.clipboard) for (const button of all(".copy", root)) button.hidden = false;
}
// What the server said last of each part of the page, before anything here touched it.
const served = new Map(all("[data-part]").map((part) => [part, part.innerHTML]));
dress(document);
document.addEventListener("click", async (event) => {
  const button = event.target.closest(".copy");
  if (!button) return;
  await navigator.clipboard.writeText(button.dataset.copy);
  const words = button.querySelector("span");
  if (!words || words.textContent === "Copied") return;
  const before = words.textContent;
  words.textContent = "Copied";
  setTimeout(() => { words.textContent = before; }, 1500);
});
for (const button of all("[data-show]")) {
  button.hidden = false;
  button.addEventListener("click", () => {
    const field = byId(button.dataset.show);
    const shown = field.type === "text";
    field.type = shown ? "password" : "text";
    button.textContent = shown ? "Show" : "Hide";
  });
}
const find = byId("find-type");
if (find) {
  byId("find").hidden = false;
  find.addEventListener("input", () => {
    const wanted = find.value.trim().toLowerCase();
    for (const type of all("[data-type]")) type.hidden = !type.textContent.toLowerCase().includes(wanted);
    for (const shelf of all(".category")) {
      shelf.hidden = all("[data-type]", shelf).every((type) => type.hidden);
      if (wanted) shelf.open = true;
    }
    byId("find-none").hidden = all("[data-type]").some((type) => !type.hidden);
  });
}
if (window.matchMedia("(max-width: 899px)").matches) for (const shelf of all(".category")) shelf.open = false;

// -- keyboard -------------------------------------------------------------------------------------
let at = -1;
function step(by) {
  const rows = all("[data-row]");
  if (!rows.length) return;
  at = Math.min(rows.length - 1, Math.max(0, at + by));
  const target = rows[at].matches("a") ? rows[at] : rows[at].querySelector("a") || rows[at];
  if (!target.matches("a")) target.tabIndex = -1;
  target.focus();
  target.scrollIntoView({ block: "nearest" });
}
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") {
    for (const menu of all("details.workspace[open], .more details[open], .phone-bar details[open], details.filter[open]")) {
      menu.open = false;
      menu.querySelector("summary").focus();
    }
    if (typing(document.activeElement)) document.activeElement.blur();
    return;
  }
  if (event.ctrlKey || event.metaKey || event.altKey || typing(event.target)) return;
  if (event.key === "/") { event.preventDefault(); byId("jump")?.focus(); }
  if (event.key === "j") step(1);
  if (event.key === "k") step(-1);
  if (event.key === "?") byId("keys-help")?.showModal();
});
document.addEventListener("click", (event) => {
  for (const menu of all("details.workspace[open], .more details[open], details.filter[open]")) if (!menu.contains(event.target)) menu.open = false;
});

// -- live lists: they wait while focused or scrolled ---------------------------------------------------
for (const live of all("[data-newer]:not([data-quiet])")) {
  const link = live.querySelector("a[role=status]");
  const look = async () => {
    if (document.hidden) return;
    const answer = await fetch(live.dataset.newer, { credentials: "same-origin" }).catch(() => null);
    if (!answer || !answer.ok || answer.redirected) return;
    const { newer } = await answer.json();
    if (!newer) return;
    const busy = window.scrollY > 0 || (document.activeElement && document.activeElement !== document.body);
    if (live.hasAttribute("data-reload") || !busy) { location.reload(); return; }
    live.hidden = false;
    link.textContent = `${newer} newer, show`;
  };
  setInterval(look, 1500);
}

// -- parts of a page that renew themselves; each waits while somebody is in it ---------------------------
const main = byId("main");
function busy(part) {
  const inside = part.contains(document.activeElement) && document.activeElement !== document.body;
  const selected = !getSelection().isCollapsed && part.contains(getSelection().anchorNode);
  const reading = part.querySelector("table") && part.getBoundingClientRect().top < 0;
  return inside || selected || reading || part.querySelector("details[open]") !== null;
}
function renew(made) {
  for (const fresh of all("[data-part]", made)) {
    const words = fresh.innerHTML;
    for (const part of all(`[data-part="${fresh.dataset.part}"]`)) {
      if (served.get(part) === words || busy(part)) continue;
      const said = part.querySelector("[data-say]")?.textContent;
      served.set(part, words);
      part.innerHTML = words;
      dress(part);
      const now = part.querySelector("[data-say]")?.textContent;
      if (now && now !== said) byId("said").textContent = now;
    }
  }
}
async function fetched(address) {
  const answer = await fetch(address, { credentials: "same-origin", headers: { "X-Requested-With": "fetch" } }).catch(() => null);
  if (!answer || answer.redirected) return null;
  return new DOMParser().parseFromString(await answer.text(), "text/html");
}
if (main && main.dataset.live) {
  let missed = 0;
  const look = async () => {
    if (!document.hidden && !document.querySelector("dialog[open]")) {
      const made = await fetched(main.dataset.live);
      const whole = made !== null && made.querySelector("[data-part]") !== null;
      missed = whole ? 0 : missed + 1;
      byId("stale").hidden = missed < 3;
      if (whole) renew(made);
    }
    setTimeout(look, 2000);
  };
  setTimeout(look, 2000);
}

// -- dialogs: pages of their own where there is no script ------------------------------------------------
const dialog = byId("dialog");
async function openDialog(address) {
  const made = await fetched(address);
  const body = made && made.querySelector("[data-dialog-body]");
  if (!body) { location.href = address; return; }
  byId("dialog-title").textContent = made.querySelector("h1").textContent;
  byId("dialog-home").replaceChildren(body);
  dialog.showModal();
}
document.addEventListener("click", (event) => {
  if (event.ctrlKey || event.metaKey || event.shiftKey) return;
  const link = event.target.closest("a[data-dialog]");
  if (link) { event.preventDefault(); openDialog(link.href); }
  if (event.target.closest("#dialog [data-close]")) { event.preventDefault(); dialog.close(); }
});
let asked = 0;
document.addEventListener("change", async (event) => {
  const form = event.target.form;
  if (form && form.matches("[data-filter]")) form.requestSubmit();
  if (!form || !form.matches("[data-choice]")) return;
  const own = ++asked;
  const made = await fetched(`${form.action}?${new URLSearchParams(new FormData(form))}`);
  const fresh = made && made.querySelector("[data-preview]");
  const old = form.parentElement.querySelector("[data-preview]");
  if (fresh && old && own === asked) old.replaceWith(fresh);
});

// -- the viewer's own zone ---------------------------------------------------------------------------
const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
for (const form of all("form[data-zone]")) {
  if (!zone || zone === "UTC") continue;
  form.elements.zone.value = zone;
  form.hidden = false;
  form.previousElementSibling.hidden = true;
}

// -- a link may name the setting that has to change: it is opened, and gets the focus ---------------------
addEventListener("load", () => {
  if (!location.hash.startsWith("#field-config-")) return;
  const home = document.querySelector(`[data-field="${CSS.escape(location.hash.slice("#field-".length))}"]`);
  if (!home) return;
  home.querySelector("[data-replace]")?.click();
  if (!home.querySelector('input:not([type="hidden"]), select, textarea')) home.querySelector("[data-add-header]")?.click();
  const secret = home.querySelector('input[type="password"]');
  (secret || home.querySelector('input:not([type="hidden"]), select, textarea'))?.focus();
  home.scrollIntoView({ block: "center" });
});
