/* Filters, their counts, sorting, pages of cards, and the address that tells all of it. */

const PAGE = 60;
const FILTERS = [
  "dataset", "classifier", "class", "result", "attack", "seed", "denoiser", "outcome",
];
const EMPTY = Object.fromEntries([...FILTERS, "image", "sort"].map((name) => [name, ""]));
/* Filters whose values name a dataset, which is left out once one is chosen. */
const OF_DATASET = ["class", "result"];
const OUTCOMES = {
  fooled: "fooled",
  resisted: "not fooled",
  recovered: "recovered by a denoiser",
  lost: "restored, not recovered",
};
const SORTS = {
  "": "attempt",
  queries: "queries, fewest first",
  "-queries": "queries, most first",
  left: "confidence left, least first",
  "-left": "confidence left, most first",
  image: "image index",
};
const form = byId("filters");
const classKey = (number) => `${data.datasets[data.classes[number][0]].label}: ${data.classes[number][1]}`;

let state = { ...EMPTY };
let page = 0;
let shown = [];

/* For each filter, the values that an attempt stands for. */
const VALUES = {
  dataset: (i) => [data.datasets[column.dataset[i]].label],
  classifier: (i) => [data.classifiers[column.classifier[i]]],
  class: (i) => data.labels[column.truth[i]][1].map(classKey),
  result: (i) => data.labels[column.after[i]][1].map(classKey),
  attack: (i) => [data.attacks[column.attack[i]]],
  seed: (i) => [String(column.seed[i])],
  denoiser: (i) => column.restored[i].map((r) => data.denoisers[r[0]]),
  outcome: (i, chosen) => {
    const found = [column.fooled[i] ? "fooled" : "resisted"];
    const restored = column.restored[i]
      .filter((r) => !chosen.denoiser || data.denoisers[r[0]] === chosen.denoiser);
    if (restored.some((r) => r[3])) found.push("recovered");
    else if (restored.length) found.push("lost");
    return found;
  },
};

function matches(i, chosen, except) {
  for (const name of FILTERS) {
    if (name !== except && chosen[name] && !VALUES[name](i, chosen).includes(chosen[name])) {
      return false;
    }
  }
  return !chosen.image || String(column.image[i]).startsWith(chosen.image);
}

function filtered(chosen) {
  const found = [];
  for (let i = 0; i < attemptCount; i++) if (matches(i, chosen)) found.push(i);
  const key = chosen.sort.replace("-", "");
  if (key) {
    const sign = chosen.sort.startsWith("-") ? -1 : 1;
    found.sort((a, b) => sign * (column[key][a] - column[key][b]) || a - b);
  }
  return found;
}

/** Options of a filter with how many attempts each would leave, the other filters kept. */
function fillSelect(name) {
  const counts = new Map();
  let total = 0;
  for (let i = 0; i < attemptCount; i++) {
    if (!matches(i, state, name)) continue;
    total++;
    for (const value of VALUES[name](i, state)) counts.set(value, (counts.get(value) || 0) + 1);
  }
  if (state[name] && !counts.has(state[name])) counts.set(state[name], 0);
  const order = name === "outcome" ? Object.keys(OUTCOMES).filter((key) => counts.has(key))
    : [...counts.keys()].sort((a, b) => a.localeCompare(b, "en", { numeric: true }));
  const option = (value, text) =>
    make("option", { value, textContent: text, selected: value === state[name] });
  const options = order.map((value) => {
    const text = name === "outcome" ? OUTCOMES[value] ?? value
      : OF_DATASET.includes(name) && state.dataset ? value.slice(state.dataset.length + 2) : value;
    return option(value, `${text} (${counts.get(value)})`);
  });
  form.elements[name].replaceChildren(option("", `all (${total})`), ...options);
}

function card(i) {
  const truth = labelText(column.truth[i]);
  const after = labelText(column.after[i]);
  const fooled = column.fooled[i];
  const images = [picture(i, {
    cell: column.cell[i], changed: true, circled: true, text: `attacked image ${column.image[i]}`,
  })];
  const lines = [
    make("span", { class: "truth", textContent: truth }),
    make("span", {
      class: fooled ? "decision wrong" : "decision",
      textContent: fooled ? `fooled: ${after}` : "not fooled",
    }),
  ];
  const restored = column.restored[i].find((r) => data.denoisers[r[0]] === state.denoiser);
  if (restored) {
    images.push(restoredPicture(i, restored, false));
    lines.push(make("span", {
      class: restored[3] ? "decision right" : "decision wrong",
      textContent: `${state.denoiser}: ${restored[3] ? "recovered" : labelText(restored[1])}`,
    }));
  }
  const queries = column.queries[i];
  lines.push(
    make("span", { class: "fine first", textContent: `image ${column.image[i]}` }),
    make("span", {
      class: "fine",
      textContent: `${queries.toLocaleString("en")} ${queries === 1 ? "query" : "queries"} · `
        + `${percent(column.left[i])}\u00a0left`,
    }));
  const button = make("button", { type: "button", class: "card" },
    make("span", { class: "images" }, ...images), ...lines);
  button.dataset.attempt = i;
  return make("li", {}, button);
}

function restoredPicture(i, restored, large, less) {
  const [denoiser, , , , sheet, position, place] = restored;
  const identity = place === 0;
  return picture(i, {
    cell: identity ? column.cell[i] : [sheet, position],
    place, large, less, changed: identity, circled: false,
    text: `restored by ${data.denoisers[denoiser]}`,
  });
}

function showPage() {
  const pages = Math.max(1, Math.ceil(shown.length / PAGE));
  page = Math.min(Math.max(page, 0), pages - 1);
  byId("cards").replaceChildren(...shown.slice(page * PAGE, (page + 1) * PAGE).map(card));
  for (const pager of document.querySelectorAll(".pager")) {
    pager.hidden = pages === 1;
    pager.querySelector(".place").textContent = `page ${page + 1} of ${pages}`;
    pager.querySelector('[data-step="-1"]').disabled = page === 0;
    pager.querySelector('[data-step="1"]').disabled = page === pages - 1;
  }
}

function show() {
  FILTERS.forEach(fillSelect);
  form.elements.image.value = state.image;
  form.elements.sort.value = state.sort;
  shown = filtered(state);
  byId("count").textContent = shown.length
    ? `${shown.length.toLocaleString("en")} of ${attemptCount.toLocaleString("en")} attempts`
    : attemptCount ? "No attempt fits these filters." : "The database holds no attempt yet.";
  showPage();
}

/* The address: #gallery?dataset=...&page=2&attempt=17 */

let ownHash = "";
function writeAddress(attempt) {
  const words = new URLSearchParams();
  for (const name of Object.keys(EMPTY)) if (state[name]) words.set(name, state[name]);
  if (page) words.set("page", page + 1);
  if (attempt !== undefined) words.set("attempt", attempt);
  ownHash = words.size ? `#gallery?${words}` : "#gallery";
  try {
    history.replaceState(null, "", ownHash);
  } catch {
    location.hash = ownHash;
  }
}

function readAddress() {
  const hash = location.hash;
  if (!hash.startsWith("#gallery?") || hash === ownHash) return false;
  const words = new URLSearchParams(hash.slice("#gallery?".length));
  for (const name of Object.keys(EMPTY)) state[name] = words.get(name) ?? "";
  if (!(state.sort in SORTS)) state.sort = "";
  page = (Number.parseInt(words.get("page"), 10) || 1) - 1;
  show();
  byId("gallery").querySelector("details").open = true;
  byId("gallery").scrollIntoView();
  const attempt = words.get("attempt");
  const found = attempt === null ? -1 : column.id.indexOf(Number(attempt));
  if (found >= 0) openViewer(found);
  return true;
}

function turn(step) {
  page += step;
  showPage();
  writeAddress();
}

form.addEventListener("input", (event) => {
  const { name, value } = event.target;
  state[name] = name === "image" ? value.trim() : value;
  if (name === "dataset") for (const own of OF_DATASET) state[own] = "";
  page = 0;
  show();
  writeAddress();
});
form.addEventListener("reset", (event) => {
  event.preventDefault();
  state = { ...EMPTY };
  page = 0;
  show();
  writeAddress();
});
form.addEventListener("submit", (event) => event.preventDefault());
for (const button of document.querySelectorAll(".pager button")) {
  button.addEventListener("click", () => {
    turn(Number(button.dataset.step));
    if (button.closest(".pager").previousElementSibling?.id === "cards") {
      byId("count").scrollIntoView({ block: "start" });
    }
  });
}
byId("cards").addEventListener("click", (event) => {
  const button = event.target.closest(".card");
  if (button) openViewer(Number(button.dataset.attempt));
});
byId("cards").addEventListener("keydown", (event) => {
  const cards = [...byId("cards").querySelectorAll(".card")];
  const at = cards.indexOf(document.activeElement);
  if (at < 0) return;
  const top = cards[0].getBoundingClientRect().top;
  const across = cards.filter((c) => Math.abs(c.getBoundingClientRect().top - top) < 2).length;
  const step = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -across, ArrowDown: across }[event.key];
  if (!step) return;
  event.preventDefault();
  cards[at + step]?.focus();
});

for (const dataset of data.datasets) {
  if (!dataset.missing) continue;
  const [why, hint] = dataset.missing;
  byId("missing").append(make("p", { class: "warning" },
    make("b", { textContent: `No images of ${dataset.label}. ` }),
    `${why}. Their attempts are listed without. To have them: `,
    make("code", { textContent: hint })));
}
if (data.absent.length) {
  byId("missing").append(make("details", { class: "warning" },
    make("summary", { textContent:
      `Not everything can be shown: ${data.absent.length} reason${data.absent.length > 1 ? "s" : ""}` }),
    make("ul", {}, ...data.absent.map((textContent) => make("li", { textContent })))));
}
form.elements.sort.replaceChildren(
  ...Object.entries(SORTS).map(([value, textContent]) => make("option", { value, textContent })));
