/* The data of the page, what the reader has chosen, and what follows from both. */

const data = JSON.parse(byId("data").textContent);
const state = { threshold: data.threshold, tiou: data.tiou, video: -1 };
const scoreDecimals = Math.max(2, Math.ceil(-Math.log10(data.thresholds[1] || 0.01)));
const listeners = [];

/** Call when the threshold, the tIoU or the colours change. */
function onChange(listener) {
  listeners.push(listener);
}

const announceChange = onceAFrame(() => listeners.forEach((listener) => listener()));

function setThreshold(step) {
  state.threshold = clamp(step, 0, data.thresholds.length - 1);
  announceChange();
}

function setTiou(index) {
  state.tiou = index;
  announceChange();
}

function threshold() {
  return data.thresholds[state.threshold];
}

function tiouThreshold() {
  return data.tious[state.tiou];
}

function label(number) {
  return data.labels[number];
}

/** The CSS class that gives an element the colour of a class. */
function colourOf(number) {
  return `class-${number % data.colours}`;
}

function isShown(video, i) {
  return video.found.step[i] >= state.threshold;
}

/** The instance that a detection finds, or -1. */
function matchOf(video, i) {
  return video.found.match[state.tiou][i];
}

/** What the shown detections of a video come to; `by` is, for each instance, the detection that finds it, or -1. */
function tally(video) {
  const by = video.truth.start.map(() => -1);
  let right = 0;
  let wrong = 0;
  for (let i = 0; i < video.found.score.length && isShown(video, i); i++) {
    const match = matchOf(video, i);
    if (match < 0) wrong += 1;
    else {
      right += 1;
      by[match] = i;
    }
  }
  return { right, wrong, missed: by.length - right, by };
}

/** Temporal intersection over union of bar i of `a` and bar j of `b`. */
function overlap(a, i, b, j) {
  const shared = Math.min(a.end[i], b.end[j]) - Math.max(a.start[i], b.start[j]);
  if (shared <= 0) return a.start[i] === b.start[j] && a.end[i] === b.end[j] ? 1 : 0;
  return shared / (a.end[i] - a.start[i] + b.end[j] - b.start[j] - shared);
}

function span(bars, i) {
  return `${clock(bars.start[i])} – ${clock(bars.end[i])}`;
}

/** Say why a detection is right or wrong. */
function verdict(video, i) {
  const { truth, found } = video;
  const match = matchOf(video, i);
  if (match >= 0) {
    return `Right: tIoU ${overlap(found, i, truth, match).toFixed(2)} with the truth at ${span(truth, match)}`;
  }
  let same = -1;
  let other = -1;
  truth.start.forEach((_, j) => {
    const better = (than) => than < 0 || overlap(found, i, truth, j) > overlap(found, i, truth, than);
    if (overlap(found, i, truth, j) === 0) return;
    if (truth.label[j] === found.label[i]) same = better(same) ? j : same;
    else other = better(other) ? j : other;
  });
  const tiouOf = (j) => overlap(found, i, truth, j);
  if (same >= 0 && tiouOf(same) >= tiouThreshold()) return "Wrong: a detection with a higher score has found this already";
  if (other >= 0 && tiouOf(other) >= tiouThreshold()) return `Wrong: the truth here is ${label(truth.label[other]) || "(no name)"}`;
  if (same >= 0) return `Wrong: tIoU with the truth is only ${tiouOf(same).toFixed(2)}`;
  return "Wrong: there is no such action in the truth here";
}

/** What a tooltip says of a detection. */
function aboutDetection(video, i) {
  const { found } = video;
  const seconds = (found.end[i] - found.start[i]).toFixed(1);
  return [
    named(label(found.label[i])),
    `${span(found, i)} (${seconds} s), score ${score(found.score[i])}`,
    verdict(video, i),
  ];
}

/** What a tooltip says of an instance. */
function aboutInstance(video, j) {
  const { truth, found } = video;
  const by = tally(video).by[j];
  const seconds = (truth.end[j] - truth.start[j]).toFixed(1);
  const fate =
    by < 0
      ? "Missed: no detection that is shown finds it"
      : `Found with score ${score(found.score[by])}, tIoU ${overlap(found, by, truth, j).toFixed(2)}`;
  return [named(label(truth.label[j])), `Truth: ${span(truth, j)} (${seconds} s)`, fate];
}

/** The colours that canvases need, as [red, green, blue]; they change with the theme. */
function colours() {
  const style = getComputedStyle(document.documentElement);
  const read = (name) => {
    const hex = style.getPropertyValue(`--${name}`).trim();
    return [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));
  };
  return {
    sunken: read("sunken"),
    muted: read("muted"),
    classes: Array.from({ length: data.colours }, (_, i) => read(`class-${i}`)),
  };
}
