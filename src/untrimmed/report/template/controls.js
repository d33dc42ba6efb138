/* The slider, the tIoU, the theme, the help and the keys. */

const slider = byId("score");
const totals = byId("totals");
const help = byId("help");
let view = null;

function setUpControls() {
  slider.addEventListener("input", () => setThreshold(Number(slider.value)));
  byId("tiou").addEventListener("change", (event) => setTiou(Number(event.target.value)));
  byId("best").addEventListener("click", () => setThreshold(bestThreshold()));
  byId("help-button").addEventListener("click", () => help.showModal());
  byId("help-close").addEventListener("click", () => help.close());
  byId("theme").addEventListener("click", toggleTheme);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", nameTheme);
  nameTheme();
  document.addEventListener("keydown", onKey);
  onChange(showTotals);
}

/** Say what the slider leaves, over all videos. */
function showTotals() {
  slider.value = state.threshold;
  slider.setAttribute("aria-valuetext", `score from ${score(threshold())}`);
  byId("score-value").textContent = score(threshold());
  const kept = data.totals.kept[state.threshold];
  const right = data.totals.right[state.tiou][state.threshold];
  const { instances, detections } = data.totals;
  const bold = (text) => make("b", { text });
  const parts = [bold(count(kept)), ` of ${count(detections)} detections`];
  if (instances) {
    const measures = { precision: kept ? right / kept : null, recall: right / instances, F1: (2 * right) / (kept + instances) };
    for (const [name, part] of Object.entries(measures)) parts.push(` · ${name} `, bold(percent(part)), part === null ? "" : " %");
  }
  totals.replaceChildren(...parts);
  byId("best").disabled = state.threshold === bestThreshold();
}

/** The step of the slider with the best F1 at the chosen tIoU. */
function bestThreshold() {
  const { kept, right, instances } = data.totals;
  const f1 = right[state.tiou].map((hits, k) => (hits ? (2 * hits) / (kept[k] + instances) : 0));
  const best = Math.max(...f1);
  if (best === 0) return data.threshold;
  const steps = f1.flatMap((value, k) => (value === best ? [k] : []));
  return steps[Math.floor(steps.length / 2)];
}

/* Theme */

function isDark() {
  const chosen = document.documentElement.dataset.theme;
  return chosen ? chosen === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
}

function toggleTheme() {
  document.documentElement.dataset.theme = isDark() ? "light" : "dark";
  nameTheme();
}

function nameTheme() {
  byId("theme").textContent = isDark() ? "Light" : "Dark";
  byId("theme").setAttribute("aria-label", isDark() ? "Switch to light colours" : "Switch to dark colours");
  announceChange();
}

/* Keys */

const KEYS = {
  " ": () => view.player.toggle(),
  ArrowLeft: (event) => move(event, -1),
  ArrowRight: (event) => move(event, 1),
  n: () => view.step(1),
  p: () => view.step(-1),
  j: () => showVideo(state.video + 1),
  k: () => showVideo(state.video - 1),
  m: () => view.toggleSound(),
  "[": () => setThreshold(state.threshold - 1),
  "]": () => setThreshold(state.threshold + 1),
  "+": () => view.zoom(2),
  "=": () => view.zoom(2),
  "-": () => view.zoom(1 / 2),
  0: () => view.timeline.zoomTo(1),
  Home: (event) => jump(event, 0),
  End: (event) => jump(event, view.video.end),
  "?": () => help.showModal(),
};

function onKey(event) {
  const { target, key } = event;
  if (event.ctrlKey || event.metaKey || event.altKey || help.open || !(key in KEYS)) return;
  const element = target instanceof Element ? target : document.body;
  if (element.closest("select")) return; // it has a use for every key
  if (element.closest("input") && /^(Arrow|Home|End)/.test(key)) return;
  if (key === " " && element.closest("button, summary, a")) return;
  if (!view && key !== "?" && key !== "[" && key !== "]") return;
  if (KEYS[key](event) !== false) event.preventDefault();
}

/** A second to either side, or with Shift a frame. */
function move(event, direction) {
  const frame = 1 / (view.video.rate || 25);
  view.player.time = view.player.time + direction * (event.shiftKey ? frame : 1);
  view.timeline.reveal(view.player.time);
}

/** To the start or the end, where the timeline has the focus; elsewhere the key is the page's. */
function jump(event, time) {
  if (event.target !== view.timeline.scroller) return false;
  view.player.time = time;
  view.timeline.reveal(time);
  return true;
}
