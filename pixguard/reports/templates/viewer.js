/* One attempt enlarged: clean, attacked, restored; what was changed, and what was said of it. */

const viewer = byId("viewer");
let viewed = -1;
let less = false;

function tile(title, image, label, confidence, truth) {
  const right = label === truth;
  return make("figure", { class: "tile" }, image,
    make("figcaption", {},
      make("b", { textContent: title }),
      make("span", {
        class: right ? "right" : "wrong",
        textContent: `${right ? "✓" : "✗"} ${labelText(label)}`,
      }),
      make("span", { class: "fine", textContent: percent(confidence) })));
}

function tiles(i) {
  const truth = column.truth[i];
  const cell = column.cell[i];
  const found = [
    tile("clean", picture(i, { cell, large: true, text: "clean image" }),
      column.before[i], column.sure[i], truth),
    tile(column.fooled[i] ? "attacked" : "best candidate",
      picture(i, { cell, large: true, changed: true, circled: true, less,
        text: less ? "what the attack changed" : "attacked image" }),
      column.after[i], column.sureAfter[i], truth),
  ];
  if (column.fooled[i] && cell[0] >= 0) {
    const files = [`clean-${column.imageId[i]}`, `attempt-${column.id[i]}`];
    files.forEach((name, place) => found[place].querySelector("figcaption").append(
      make("a", { href: `images/${name}.png`, download: `${name}.png`, textContent: "PNG" })));
  }
  for (const restored of column.restored[i]) {
    const item = tile(data.denoisers[restored[0]], restoredPicture(i, restored, true, less),
      restored[1], restored[2], truth);
    item.querySelector("figcaption").append(
      make("span", { class: "fine", textContent: restored[3] ? "recovered" : "not recovered" }));
    found.push(item);
  }
  return make("div", { class: "tiles" }, ...found);
}

function pixelTable(i) {
  const value = (values) => {
    const swatch = make("span", { class: "swatch" });
    swatch.style.background = colour(values);
    return [swatch, values.join(", ")];
  };
  const large = column.strip[i] !== null;
  if (column.whole[i][0] >= 0) return make("p", { textContent: "A dense attack: all pixels may change." });
  const rows = changes(i).map((pixel) => make("tr", {},
    make("th", { scope: "row", textContent: `(${pixel.row}, ${pixel.col})` }),
    make("td", {}, ...value(pixel.before)),
    make("td", {}, "→ ", ...value(pixel.after)),
    ...(large ? [make("td", {}, closeUp(i, pixel))] : [])));
  const head = ["pixel (row, col)", "before", "after", ...(large ? ["around it"] : [])].map(
    (textContent) => make("th", { scope: "col", textContent }));
  return make("table", { class: "pixels" },
    make("caption", { textContent: "Changed pixels" }),
    make("thead", {}, make("tr", {}, ...head)), make("tbody", {}, ...rows));
}

function facts(i) {
  const entries = {
    "true class": labelText(column.truth[i]),
    dataset: data.datasets[column.dataset[i]].label
      + (data.datasets[column.dataset[i]].phantom ? " (synthetic)" : ""),
    image: `${column.image[i]} (${column.split[i]}), `
      + `${column.height[i]} × ${column.width[i]} pixels`,
    classifier: data.classifiers[column.classifier[i]],
    attack: data.attacks[column.attack[i]],
    target: column.target[i] ?? "none (any other decision)",
    queries: column.queries[i].toLocaleString("en"),
    "left for the clean decision": percent(column.left[i]),
    "seed, repeat": `${column.seed[i]}, ${column.repeat[i]}`,
    attempt: `#${column.id[i]}`,
  };
  return make("dl", { class: "facts" }, ...Object.entries(entries).flatMap(([name, text]) =>
    [make("dt", { textContent: name }), make("dd", { textContent: text })]));
}

function view(i) {
  viewed = i;
  const place = shown.indexOf(i);
  byId("viewer-title").textContent = column.fooled[i]
    ? `${labelText(column.before[i])} became ${labelText(column.after[i])}`
    : `${labelText(column.before[i])} was not changed`;
  byId("viewer-place").textContent = place < 0 ? "" : `${place + 1} of ${shown.length}`;
  byId("viewer-previous").disabled = place <= 0;
  byId("viewer-next").disabled = place < 0 || place === shown.length - 1;
  byId("viewer-body").replaceChildren(
    tiles(i), make("div", { class: "details" }, pixelTable(i), facts(i)));
  byId("viewer-body").scrollTop = 0;
  if (place >= 0 && Math.floor(place / PAGE) !== page) {
    page = Math.floor(place / PAGE);
    showPage();
  }
  writeAddress(column.id[i]);
}

function openViewer(i) {
  view(i);
  if (!viewer.open) viewer.showModal();
  byId("viewer-body").focus();
}

function stepViewer(step) {
  const place = shown.indexOf(viewed) + step;
  if (shown.indexOf(viewed) >= 0 && place >= 0 && place < shown.length) view(shown[place]);
}

byId("viewer-difference").addEventListener("click", (event) => {
  less = !less;
  event.target.setAttribute("aria-pressed", less);
  view(viewed);
});
byId("viewer-previous").addEventListener("click", () => stepViewer(-1));
byId("viewer-next").addEventListener("click", () => stepViewer(1));
byId("viewer-close").addEventListener("click", () => viewer.close());
viewer.addEventListener("click", (event) => {
  if (event.target === viewer) viewer.close();
});
viewer.addEventListener("keydown", (event) => {
  const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  if (!step) return;
  event.preventDefault();
  stepViewer(step);
});
viewer.addEventListener("close", () => {
  writeAddress();
  document.querySelector(`.card[data-attempt="${viewed}"]`)?.focus();
});

addEventListener("hashchange", readAddress);
if (!readAddress()) show();
