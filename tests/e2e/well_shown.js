// What no page may get wrong once a browser shows it, measured from what the browser computed.
(() => {
  const BODY_TEXT = 4.5;
  const violations = [];
  let shifted = 0;

  document.addEventListener("securitypolicyviolation", (event) => {
    violations.push(`${event.violatedDirective} ${event.blockedURI}`);
  });
  // Whatever `hadRecentInput` says: nobody has touched the page yet, and a phone's first layout counts as input.
  const count = (entries) => {
    for (const entry of entries) shifted += entry.value;
  };
  const shifts = new PerformanceObserver((list) => count(list.getEntries()));
  shifts.observe({ type: "layout-shift", buffered: true });

  const named = (element) => {
    const words = element.textContent.trim().replace(/\s+/g, " ").slice(0, 40);
    return `${element.localName}.${element.getAttribute("class") || ""} “${words}”`;
  };
  const parents = function* (element) {
    for (let at = element; at; at = at.parentElement) yield at;
  };

  // -- what sticks out ------------------------------------------------------------------------------

  const scrolls = (element) =>
    [...parents(element.parentElement)].some((at) => getComputedStyle(at).overflowX !== "visible" && at !== document.body);
  // Not `innerWidth`: a phone zooms out where a page is too wide, and calls that its width.
  const widthHere = () => document.documentElement.clientWidth;
  const tooWide = () =>
    [...document.body.querySelectorAll("*")]
      .filter((element) => element.checkVisibility({ visibilityProperty: true }))
      .filter((element) => {
        const box = element.getBoundingClientRect();
        return (box.right > widthHere() + 0.5 || box.left < -0.5) && box.width > 1 && !scrolls(element);
      })
      .map((element) => `sticks out: ${named(element)}`);

  // -- contrast -------------------------------------------------------------------------------------

  const channels = (color) => {
    const [red, green, blue, alpha = 1] = color.match(/[\d.]+/g).map(Number);
    return [red, green, blue, alpha];
  };
  const over = ([red, green, blue, alpha], ground) =>
    [red, green, blue].map((value, index) => value * alpha + ground[index] * (1 - alpha));
  const groundOf = (element) => {
    const layers = [];
    for (const at of parents(element)) {
      const color = channels(getComputedStyle(at).backgroundColor);
      if (color[3] > 0) layers.push(color);
      if (color[3] === 1) break;
    }
    return layers.reverse().reduce((ground, layer) => over(layer, ground), [255, 255, 255]);
  };
  const luminance = (color) => {
    const [red, green, blue] = color.map((value) => {
      const share = value / 255;
      return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  };
  const contrast = (element) => {
    const style = getComputedStyle(element);
    const color = channels(element.closest("svg") ? style.fill : style.color);
    for (const at of parents(element)) color[3] *= Number(getComputedStyle(at).opacity);
    const ground = groundOf(element);
    const [dark, light] = [luminance(over(color, ground)), luminance(ground)].sort((one, other) => one - other);
    return (light + 0.05) / (dark + 0.05);
  };
  const faint = () => {
    const found = new Set();
    const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (texts.nextNode()) {
      const element = texts.currentNode.parentElement;
      const box = element.getBoundingClientRect();
      if (!texts.currentNode.data.trim() || !element.checkVisibility({ visibilityProperty: true })) continue;
      if (element.closest(".visually-hidden, script, option") || box.width <= 1) continue;
      const ratio = contrast(element);
      if (ratio < BODY_TEXT) found.add(`contrast ${ratio.toFixed(2)}: ${named(element)}`);
    }
    return [...found];
  };

  // -- all of it ------------------------------------------------------------------------------------

  window.faultsShown = async () => {
    await document.fonts.ready;
    await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
    count(shifts.takeRecords());
    const wrong = [...violations.map((words) => `policy: ${words}`), ...tooWide(), ...faint()];
    const width = document.documentElement.scrollWidth;
    if (width > widthHere()) wrong.push(`scrolls sideways: ${width} in ${widthHere()}`);
    const heads = [...document.querySelectorAll("h1")].filter((head) => head.checkVisibility()).length;
    if (heads !== 1) wrong.push(`${heads} h1`);
    if (shifted >= 0.02) wrong.push(`moved after it was shown: ${shifted.toFixed(3)}`);
    return wrong;
  };

  window.focusFaults = () => {
    const element = document.activeElement;
    if (!element || element === document.body) return ["Tab reaches nothing"];
    const [style, box] = [getComputedStyle(element), element.getBoundingClientRect()];
    const seen = box.top >= 0 && box.bottom <= innerHeight && box.left >= 0 && box.right <= innerWidth;
    const marked = style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2;
    return seen && marked ? [] : [`focus is not seen: ${named(element)}`];
  };
})();
