/* The gallery's data, and drawing its images onto canvases. */

const data = JSON.parse(byId("data").textContent);
const column = data.attempts;
const attemptCount = column.id ? column.id.length : 0;
const CELL_SIDE = 96;
const LARGE_SIDE = 512;
const PIXELATED_UP_TO = 128;
const CLOSE_UP = 17;

const percent = (share) => `${(100 * share).toFixed(1)}\u202f%`;
const labelText = (number) => data.labels[number][0];
const colour = (values) => {
  const [r, g, b] = values.length === 1 ? [values[0], values[0], values[0]] : values;
  return `rgb(${r}, ${g}, ${b})`;
};

/** A changed pixel as {row, col, before, after}. */
function changes(i) {
  const channels = data.datasets[column.dataset[i]].channels;
  return column.pixels[i].map((values) => ({
    row: values[0],
    col: values[1],
    before: values.slice(2, 2 + channels),
    after: values.slice(2 + channels),
  }));
}

const loading = new Map();
function load(file) {
  if (!loading.has(file)) {
    loading.set(file, new Promise((resolve, reject) => {
      const image = new Image();
      image.onload = () => resolve(image);
      image.onerror = () => reject(new Error(`no image ${file}`));
      image.src = file;
    }));
  }
  return loading.get(file);
}

function fit(height, width, side) {
  const scale = Math.min(1, side / Math.max(height, width));
  const scaled = (length) => Math.max(1, Math.floor(length * scale + 0.5));
  return [scaled(height), scaled(width)];
}

/** Where an image of an attempt lies: in a strip of large images, or in a sheet of thumbnails. */
function source(i, cell, place, large) {
  const height = column.height[i], width = column.width[i];
  if (large && column.strip[i] && place >= 0) {
    const [h, w] = fit(height, width, LARGE_SIDE);
    return { file: column.strip[i], x: place * w, y: 0, w, h };
  }
  const [number, position] = cell;
  if (number < 0) return null;
  const [file, cellWidth, cellHeight, columns] = data.sheets[number];
  const [h, w] = fit(height, width, CELL_SIDE);
  const x = (position % columns) * cellWidth;
  return { file, x, y: Math.floor(position / columns) * cellHeight, w, h };
}

/**
 * Return an element that shows an image of an attempt.
 * options: cell, place (see source), large, changed (draw the changed pixels), circled, text;
 * less (true: the difference from the clean image).
 */
function picture(i, options) {
  const isWhole = options.changed && column.whole[i][0] >= 0; // of a dense attack
  const from = isWhole
    ? source(i, column.whole[i], -1, options.large)
    : source(i, options.cell, options.place ?? 0, options.large);
  if (!from) return make("div", { class: "no-image", textContent: "no image" });
  const canvas = make("canvas", {
    width: from.w, height: from.h, role: "img", "aria-label": options.text,
  });
  if (Math.max(from.w, from.h) <= PIXELATED_UP_TO) canvas.classList.add("pixelated");
  const clean = options.less && source(i, column.cell[i], 0, options.large);
  if (clean) canvas.classList.add("difference");
  Promise.all([load(from.file), clean && load(clean.file)]).then(([image, base]) => {
    const context = canvas.getContext("2d");
    context.imageSmoothingEnabled = false;
    context.drawImage(image, from.x, from.y, from.w, from.h, 0, 0, from.w, from.h);
    if (options.changed) paintChanges(i, context, from.w / column.width[i]);
    if (!clean) return;
    // The browser subtracts: pixels of a page opened from disk cannot be read.
    context.globalCompositeOperation = "difference";
    context.drawImage(base, clean.x, clean.y, clean.w, clean.h, 0, 0, from.w, from.h);
  }, () => canvas.replaceWith(make("div", { class: "no-image", textContent: "no image" })));
  const frame = make("div", { class: "frame" }, canvas);
  if (options.circled) frame.append(circles(i));
  return frame;
}

function paintChanges(i, context, scale) {
  for (const pixel of changes(i)) {
    context.fillStyle = colour(pixel.after);
    context.fillRect(pixel.col * scale, pixel.row * scale, scale, scale);
  }
}

/** The attacked image around a changed pixel, pixel by pixel: a large image hides it. */
function closeUp(i, pixel) {
  const canvas = make("canvas", {
    width: CLOSE_UP, height: CLOSE_UP, role: "img", class: "close-up pixelated",
    "aria-label": `attacked image around (${pixel.row}, ${pixel.col})`,
  });
  const from = source(i, column.cell[i], 0, true);
  load(from.file).then((image) => {
    const context = canvas.getContext("2d");
    const scale = from.w / column.width[i];
    const left = pixel.col - (CLOSE_UP >> 1), top = pixel.row - (CLOSE_UP >> 1);
    context.imageSmoothingEnabled = false;
    context.translate(-left, -top);
    context.drawImage(image, from.x, from.y, from.w, from.h,
      0, 0, from.w / scale, from.h / scale);
    paintChanges(i, context, 1);
  }, () => canvas.remove());
  return canvas;
}

function circles(i) {
  const height = column.height[i], width = column.width[i];
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
  svg.setAttribute("aria-hidden", "true");
  for (const pixel of changes(i)) {
    const circle = document.createElementNS("http://www.w3.org/2000/svg", "circle");
    circle.setAttribute("cx", pixel.col + 0.5);
    circle.setAttribute("cy", pixel.row + 0.5);
    circle.setAttribute("r", Math.max(1.6, Math.max(height, width) / 14));
    svg.append(circle);
  }
  return svg;
}
