/* Setting up the page. */

const strips = [];

function setUpVideos() {
  const list = byId("video-list");
  if (!data.videos.length) return;
  data.videos.forEach((video, i) => {
    const strip = draw("svg", { class: "strip", viewBox: "0 0 1000 22", preserveAspectRatio: "none", "aria-hidden": "true" });
    const result = make("span", { class: "result" });
    const button = make(
      "button",
      { type: "button", class: "pick", onclick: () => showVideo(i) },
      make("span", { class: "pick-name" }, named(video.name)),
      result,
      strip,
    );
    strips.push({ video, strip, result, button });
    list.append(make("li", {}, button));
  });
  onChange(drawStrips);
  onChange(() => view?.refresh());
  for (const link of document.querySelectorAll("a[data-video]")) {
    link.addEventListener("click", () => showVideo(Number(link.dataset.video)));
  }
  const asked = /^#video-(\d+)$/.exec(location.hash);
  showVideo(asked ? Number(asked[1]) - 1 : 0, { quietly: true });
}

/** Show one of the videos; the address of the page follows, so that it can be passed on. */
function showVideo(number, { quietly = false } = {}) {
  if (!data.videos.length) return;
  const next = clamp(number, 0, data.videos.length - 1);
  if (next === state.video) return;
  view?.player.dispose();
  state.video = next;
  view = new VideoView(next);
  byId("viewer").replaceChildren(view.element);
  view.refresh();
  strips.forEach(({ button }, i) => {
    if (i === next) button.setAttribute("aria-current", "true");
    else button.removeAttribute("aria-current");
  });
  if (quietly) return;
  const { offsetTop, offsetLeft } = strips[next].button.parentElement;
  byId("video-list").scrollTo({ top: offsetTop - 80, left: offsetLeft - 40 });
  history.replaceState(null, "", `#video-${next + 1}`);
}

/** Draw the small timelines of the list: truth above, detections below. */
function drawStrips() {
  for (const { video, strip, result } of strips) {
    const { right, wrong, missed, by } = tally(video);
    result.replaceChildren(
      make("span", { class: "right", title: "right" }, symbol("right"), count(right)),
      make("span", { class: "wrong", title: "wrong" }, symbol("wrong"), count(wrong)),
      make("span", { class: "missed", title: "missed" }, symbol("missed"), count(missed)),
    );
    const paths = new Map();
    const add = (bars, i, top, matched) => {
      const key = `${colourOf(bars.label[i])} ${matched ? "matched" : "unmatched"}`;
      const from = (1000 * bars.start[i]) / video.end;
      const wide = Math.max(3, (1000 * bars.end[i]) / video.end - from);
      paths.set(key, `${paths.get(key) ?? ""}M${from.toFixed(1)} ${top}h${wide.toFixed(1)}v8h-${wide.toFixed(1)}z`);
    };
    by.forEach((detection, i) => add(video.truth, i, 1, detection >= 0));
    for (let i = 0; i < video.found.score.length && isShown(video, i); i++) add(video.found, i, 13, matchOf(video, i) >= 0);
    strip.replaceChildren(...[...paths].map(([kind, d]) => draw("path", { class: kind, d })));
  }
}

function setUpTrainingCharts() {
  const { epochs, columns } = data.history;
  const curve = (name) => epochs.flatMap((epoch, i) => (Number.isFinite(columns[name]?.[i]) ? [[epoch, columns[name][i]]] : []));
  const x = { low: epochs.length > 1 ? epochs[0] : 0, high: epochs.at(-1), title: "epoch", write: String, whole: true };
  const losses = ["loss", "classification_loss", "regression_loss"].filter((name) => curve(name).length);
  if (byId("loss")) {
    const series = losses.map((name, k) => ({
      points: curve(name),
      class: `loss-${k}`,
      about: ([epoch, value]) => [`${name.replace("_", " ")} ${value.toPrecision(4)}`, `epoch ${epoch}`],
    }));
    const highest = Math.max(...series.flatMap(({ points }) => points.map(([, value]) => value)));
    const y = { low: 0, high: highest || 1, write: (value) => String(Number(value.toPrecision(3))) };
    responsive(byId("loss"), (width) => lineChart({ width, height: 210, x, y, series, title: "Loss by epoch" }));
  }
  if (byId("map")) {
    const about = ([epoch, value]) => [`average mAP ${percent(value)}`, `epoch ${epoch}`];
    const series = [{ points: curve("mAP"), class: "map", about }];
    const y = { low: 0, high: 1, write: (value) => percent(value, 0) };
    responsive(byId("map"), (width) => lineChart({ width, height: 210, x, y, series, title: "Average mAP in validation by epoch" }));
  }
}

function setUpMeanAP() {
  if (!data.meanAP) return;
  const about = (i) => [`mAP ${percent(data.meanAP[i], 2)} %`, `a detection is right from tIoU ${data.tious[i]}`];
  responsive(byId("mean-ap"), (width) =>
    columnChart({ width, height: 128, names: data.tious.map(String), values: data.meanAP, title: "mAP by tIoU", about }),
  );
}

// After a click, as opposed to a key, a button gives up the focus: the space bar then plays, and does not click again.
document.addEventListener("click", (event) => {
  if (event.detail > 0 && event.target instanceof Element) event.target.closest("button")?.blur();
});

setUpControls();
setUpMeanAP();
setUpVideos();
if (classTable) setUpClasses();
setUpTrainingCharts();
for (const head of document.querySelectorAll("#all-table thead button")) {
  head.addEventListener("click", () => sortBy(head.closest("th")));
}
listeners.forEach((listener) => listener());
