// The form of a destination: the test beside it, rows that come and go. Without this it works by full posts.
"use strict";

// A block of its own: scripts of one page share their top-level names.
{
const form = document.getElementById("destination-form");
const panel = document.getElementById("test-panel");
const rules = document.getElementById("filter-rules");
const each = (selector, root = document) => Array.from(root.querySelectorAll(selector));
const one = (id) => document.getElementById(id);
let round = 0;

const send = (address, submitter) => {
  const body = new URLSearchParams(new FormData(form));
  if (submitter) body.append(submitter.name, submitter.value);
  return fetch(address, {
    method: "POST", body, headers: { "X-Requested-With": "fetch" }, credentials: "same-origin",
  });
};

// -- an edit makes the test one of other values ------------------------------------------------------
const forget = () => {
  round += 1;
  one("test-title").textContent = "Not tested";
  each("input[type=hidden], header .small, .proofs small, .advice", panel).forEach((node) => node.remove());
  for (const [shape, , fact] of each(".proofs li", panel).map((row) => row.children)) {
    shape.className = fact.className = "ink3";
    shape.replaceChildren(one("dashed").content.cloneNode(true));
    fact.textContent = "not tried";
  }
  clear();
  const test = one("test-button");
  const save = one("save-button");
  test.textContent = "Test Connection";
  test.classList.add("primary");
  test.disabled = false;
  save.classList.remove("primary");
  save.disabled = true;
  one("save-words").textContent = "Save is possible after a passed test of exactly these values.";
};
form.addEventListener("input", (event) => {
  if (event.target.name.startsWith("config-")) forget();
});

// -- stored secrets: Replace empties the field, Cancel brings the old back ---------------------------
for (const kept of each("[data-kept]")) {
  const id = kept.dataset.kept;
  const field = one(id);
  const entry = document.querySelector(`[data-entry="${id}"]`);
  const cancel = document.querySelector(`[data-cancel="${id}"]`);
  const show = (replacing) => {
    kept.hidden = replacing;
    entry.hidden = !replacing;
    cancel.hidden = !replacing;
  };
  show(kept.closest(".field").classList.contains("is-wrong"));
  kept.querySelector("[data-replace]").addEventListener("click", () => { show(true); field.focus(); });
  cancel.addEventListener("click", () => {
    if (field.value) { field.value = ""; forget(); }
    show(false);
    kept.querySelector("[data-replace]").focus();
  });
}

// -- headers ---------------------------------------------------------------------------------------
const headers = document.querySelector("[data-headers]");
const number = () => {
  each("[data-header]", headers).forEach((row, at) => {
    const [name, value, remove] = each("input, button", row);
    name.setAttribute("aria-label", `Header ${at + 1} name`);
    value.setAttribute("aria-label", `Header ${at + 1} value`);
    remove.setAttribute("aria-label", `Remove header ${at + 1}`);
    remove.value = `remove-header-${at}`;
  });
  const any = each("[data-header]", headers).length > 0;
  headers.querySelector(".header-heads").hidden = !any;
  document.querySelector("[data-add-header] span").textContent = any ? "Add another header" : "Add a header";
};
const addHeader = () => {
  headers.append(one("header-row").content.cloneNode(true));
  number();
  each("[data-header]", headers).at(-1).querySelector("input").focus();
};
const removeHeader = (button) => {
  const filled = each("input", button.closest("[data-header]")).some((input) => input.value);
  button.closest("[data-header]").remove();
  number();
  document.querySelector("[data-add-header]").focus();
  if (filled) forget();
};

// -- filter rules: the server says what a press makes of them ----------------------------------------
const changeRules = async (button) => {
  const answer = await send(rules.dataset.url, button).catch(() => null);
  const words = answer && answer.ok ? await answer.text() : "";
  if (!words.includes('name="rules"')) { location.reload(); return; }
  rules.innerHTML = words;
  quieten();
  const added = button.value.startsWith("add-");
  const places = each(added ? "input[type=text]" : ".add", rules);
  const group = /^add-rule-(\d+)$/.exec(button.value);
  const target = group
    ? each(`input[name^="rule-${group[1]}-"]`, rules).at(-1)
    : places.at(-1);
  (target || rules.querySelector("button")).focus();
};
const quieten = () => {
  for (const operator of each("[data-operator]", rules)) {
    const value = operator.parentElement.querySelector("input[name$=-value]");
    const none = ["exists", "not_exists"].includes(operator.value);
    value.disabled = none;
    value.classList.toggle("unneeded", none);
  }
};
rules.addEventListener("change", quieten);
quieten();

// -- sampling ----------------------------------------------------------------------------------------
for (const range of each("[data-mirrors]")) {
  const exact = one(range.dataset.mirrors);
  range.hidden = false;
  range.value = exact.value;
  range.addEventListener("input", () => { exact.value = Math.max(0.01, range.value); });
  exact.addEventListener("input", () => { range.value = exact.value; });
}

// -- the test ----------------------------------------------------------------------------------------
const mark = (name, words) => {
  const home = document.querySelector(`[data-field="config-${CSS.escape(name)}"], [data-field="${CSS.escape(name)}"]`);
  if (!home) return;
  home.classList.add("is-wrong");
  home.querySelector("input:not([type=hidden]), select")?.setAttribute("aria-invalid", "true");
  home.querySelector("[data-replace]")?.click();
  const help = home.querySelector(":scope > .help, :scope > .error");
  if (!help) return;
  if (!home.dataset.help) home.dataset.help = help.classList.contains("help") ? help.innerHTML : "";
  help.className = "error";
  const said = document.createElement("span");
  said.textContent = words;
  help.replaceChildren(one("cross").content.cloneNode(true), said);
};
const clear = () => {
  for (const home of each("[data-field].is-wrong", form)) {
    home.classList.remove("is-wrong");
    each("[aria-invalid=true]", home).forEach((input) => input.setAttribute("aria-invalid", "false"));
    const words = home.querySelector(":scope > .error");
    if (words) { words.className = "help"; words.innerHTML = home.dataset.help || ""; }
  }
};
const runTest = async () => {
  const own = ++round;
  const before = panel.innerHTML;
  const button = one("test-button");
  button.disabled = true;
  const slow = setTimeout(() => { button.textContent = button.dataset.waiting; }, 300);
  try {
    const words = await (await send(form.dataset.test)).text();
    if (own !== round) return;
    if (!words.includes("test-title")) throw new Error("no panel");
    clear();
    panel.innerHTML = words;
    for (const problem of each("[data-wrong]", panel)) mark(problem.dataset.wrong, problem.textContent);
    one("test-title").focus();
  } catch {
    if (own !== round) return;
    panel.innerHTML = before;
    one("test-button").disabled = false;
    one("test-title").textContent = "The test could not run. Reload the page and try again.";
  } finally {
    clearTimeout(slow);
  }
};

// -- the preview: the server says what would be sent ---------------------------------------------------
const runPreview = async (button) => {
  button.disabled = true;
  const answer = await send(button.getAttribute("formaction")).catch(() => null);
  button.disabled = false;
  const words = answer && answer.ok ? await answer.text() : "";
  if (words.includes("<html")) { location.reload(); return; }
  one("preview").innerHTML = words || '<p class="note is-bad" role="alert">The preview could not be made. Reload the page and try again.</p>';
};

form.addEventListener("submit", (event) => {
  const button = event.submitter;
  if (!button || button.id === "save-button") {
    // What was tested waits sealed on the server: a secret that is the same need not travel twice.
    if (panel.querySelector("[name=fingerprint]")) each("input[type=password]", form).forEach((input) => { input.value = ""; });
    return;
  }
  event.preventDefault();
  if (button.hasAttribute("data-add-header")) addHeader();
  else if (button.hasAttribute("data-remove-header")) removeHeader(button);
  else if (button.hasAttribute("data-preview")) void runPreview(button);
  else if (button.hasAttribute("data-rows")) void changeRules(button);
  else if (!one("test-button").disabled) void runTest();
});

form.querySelector("[autofocus]")?.focus();
}
