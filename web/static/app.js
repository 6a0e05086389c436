// Everything here is a convenience: without it the pages work by full posts.
"use strict";

const all = (selector, root = document) => Array.from(root.querySelectorAll(selector));
const byId = (id) => document.getElementById(id);
const typing = (node) => /^(INPUT|TEXTAREA|SELECT)$/.test(node.tagName) && !["checkbox", "radio"].includes(node.type);

// -- copy, show, find -----------------------------------------------------------------------------
if (navigator.clipboard) {
  for (const button of all(".copy")) {
    button.hidden = false;
    button.addEventListener("click", async () => {
      await navigator.clipboard.writeText(button.dataset.copy);
      const words = button.querySelector("span") || button;
      const before = words.textContent;
      if (words !== button) {
        words.textContent = "Copied";
        setTimeout(() => { words.textContent = before; }, 1500);
      }
    });
  }
}
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
    for (const menu of all("details.workspace[open], .more details[open], .phone-bar details[open]")) {
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
  for (const menu of all("details.workspace[open], .more details[open]")) if (!menu.contains(event.target)) menu.open = false;
});

// -- the form of a destination -----------------------------------------------------------------------
const form = byId("destination-form");
if (form) {
  const panel = byId("test-panel");
  const untested = panel.innerHTML;
  let round = 0;

  const forget = () => {
    round += 1;
    byId("test-title").textContent = "Not tested";
    all("input[name=fingerprint]", panel).forEach((node) => node.remove());
    const test = byId("test-button");
    const save = byId("save-button");
    test.textContent = "Test Connection";
    test.classList.add("primary");
    test.disabled = false;
    save.classList.remove("primary");
    save.disabled = true;
    byId("save-words").textContent = "Save is possible after a passed test of exactly these values.";
  };
  form.addEventListener("input", (event) => {
    if (event.target.name.startsWith("config-")) forget();
  });

  for (const kept of all("[data-kept]")) {
    const id = kept.dataset.kept;
    const field = byId(id);
    const entry = document.querySelector(`[data-entry="${id}"]`);
    const cancel = document.querySelector(`[data-cancel="${id}"]`);
    const wrong = kept.closest(".field").classList.contains("is-wrong");
    const show = (replacing) => {
      kept.hidden = replacing;
      entry.hidden = !replacing;
      cancel.hidden = !replacing;
    };
    show(wrong);
    kept.querySelector("[data-replace]").addEventListener("click", () => { show(true); field.focus(); });
    cancel.addEventListener("click", () => {
      if (field.value) { field.value = ""; forget(); }
      show(false);
    });
  }

  const mark = (name, words) => {
    const home = document.querySelector(`[data-field="config-${CSS.escape(name)}"], [data-field="${CSS.escape(name)}"]`);
    if (!home) return;
    home.classList.add("is-wrong");
    home.querySelector("input, textarea, select")?.setAttribute("aria-invalid", "true");
    home.querySelector("[data-replace]")?.click();
    const help = home.querySelector(".help, .error");
    if (help) { help.className = "error"; help.textContent = words; }
  };
  const clear = () => {
    for (const home of all(".field.is-wrong", form)) {
      home.classList.remove("is-wrong");
      home.querySelector("input, textarea, select")?.setAttribute("aria-invalid", "false");
      const words = home.querySelector(".error");
      if (words) { words.className = "help"; words.textContent = ""; }
    }
  };

  document.addEventListener("click", async (event) => {
    const button = event.target.closest("#test-button");
    if (!button) return;
    event.preventDefault();
    const own = ++round;
    const before = panel.innerHTML;
    button.disabled = true;
    const slow = setTimeout(() => { button.textContent = button.dataset.waiting; }, 300);
    try {
      const answer = await fetch(form.dataset.test, {
        method: "POST", body: new FormData(form), headers: { "X-Requested-With": "fetch" }, credentials: "same-origin",
      });
      const words = await answer.text();
      if (own !== round) return;
      if (!words.includes("test-title")) throw new Error("no panel");
      clear();
      panel.innerHTML = words;
      for (const problem of all("[data-wrong]", panel)) mark(problem.dataset.wrong, problem.textContent);
      byId("test-title").focus();
    } catch {
      if (own !== round) return;
      panel.innerHTML = before;
      byId("test-button").disabled = false;
      byId("test-title").textContent = "The test could not run. Reload the page and try again.";
    } finally {
      clearTimeout(slow);
    }
  });
  byId("field-name")?.form.querySelector(".is-wrong input")?.focus();
  void untested;
}

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
