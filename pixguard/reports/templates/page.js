"use strict";

/* What every part needs: elements, the theme, the list of tables, copying. */

const byId = (id) => document.getElementById(id);

/** Make an element with properties and children; text is set as text, never parsed. */
function make(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name === "class") element.className = value;
    else if (name.includes("-") || name === "role") element.setAttribute(name, value);
    else element[name] = value;
  }
  element.append(...children);
  return element;
}

/** localStorage may be denied to pages opened from disk. */
function remembered(key, value) {
  try {
    if (value !== undefined) localStorage.setItem(key, value);
    return localStorage.getItem(key);
  } catch {
    return null;
  }
}

(function theme() {
  const root = document.documentElement;
  const button = byId("theme");
  const prefersDark = matchMedia("(prefers-color-scheme: dark)");
  const isDark = () => (root.dataset.theme || (prefersDark.matches ? "dark" : "light")) === "dark";
  const label = () => {
    button.textContent = isDark() ? "Light" : "Dark";
    button.setAttribute("aria-label", `Change to ${isDark() ? "light" : "dark"} colours`);
  };
  const stored = remembered("pixguard-theme");
  if (stored === "dark" || stored === "light") root.dataset.theme = stored;
  button.addEventListener("click", () => {
    root.dataset.theme = isDark() ? "light" : "dark";
    remembered("pixguard-theme", root.dataset.theme);
    label();
  });
  prefersDark.addEventListener("change", label);
  label();
})();

(function tables() {
  const input = byId("find-table");
  const entries = [...document.querySelectorAll(".index li")];
  const texts = entries.map((entry) => entry.textContent.toLowerCase());
  input.addEventListener("input", () => {
    const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    entries.forEach((entry, n) => {
      entry.hidden = !words.every((word) => texts[n].includes(word));
      shown += !entry.hidden;
    });
    byId("find-count").textContent = words.length ? `${shown} of ${entries.length}` : "";
  });
  input.addEventListener("keydown", (event) => {
    const first = entries.find((entry) => !entry.hidden);
    if (event.key === "Enter" && first) location.hash = first.querySelector("a").hash;
  });
})();

/** Mark the section in view in the contents. */
(function contents() {
  const links = new Map([...document.querySelectorAll(".contents > ul > li > a")]
    .map((link) => [link.hash.slice(1), link]));
  const observer = new IntersectionObserver((entries) => {
    for (const { target, isIntersecting } of entries) {
      if (!isIntersecting) continue;
      for (const link of links.values()) link.removeAttribute("aria-current");
      links.get(target.id).setAttribute("aria-current", "true");
    }
  }, { rootMargin: "-20% 0px -75% 0px" });
  for (const name of links.keys()) observer.observe(byId(name));
})();

/** A link to something inside a closed <details> must open it first. */
function reveal() {
  const target = /^#[\w-]+$/.test(location.hash) && byId(location.hash.slice(1));
  let closed = target && target.closest("details:not([open])");
  if (!closed) return;
  for (; closed; closed = closed.parentElement.closest("details:not([open])")) closed.open = true;
  target.scrollIntoView();
}
addEventListener("hashchange", reveal);
reveal();

document.addEventListener("click", async (event) => {
  const button = event.target.closest("button.copy");
  if (!button) return;
  const code = button.parentElement.querySelector("code");
  try {
    await navigator.clipboard.writeText(code.textContent);
    button.textContent = "Copied";
  } catch {
    getSelection().selectAllChildren(code);
    button.textContent = "Selected: press Ctrl+C";
  }
  setTimeout(() => { button.textContent = "Copy"; }, 2500);
});
