/* The table of classes, and their precision and recall. */

const classTable = byId("class-table");
const rowsByLabel = new Map();
let highlighted = null;

function setUpClasses() {
  for (const row of classTable.tBodies[0].rows) {
    const number = Number(row.dataset.label);
    rowsByLabel.set(number, row);
    const highlight = (on) => {
      highlighted = on ? number : null;
      drawPrecisionRecall();
    };
    row.addEventListener("pointerenter", () => highlight(true));
    row.addEventListener("pointerleave", () => highlight(false));
    row.addEventListener("focus", () => highlight(true));
    row.addEventListener("blur", () => highlight(false));
  }
  classTable.querySelectorAll("thead button").forEach((button) => button.addEventListener("click", () => sortBy(button.closest("th"))));
  onChange(fillClasses);
  onChange(drawPrecisionRecall);
}

/** Write what depends on the tIoU. */
function fillClasses() {
  for (const each of data.classes) {
    const row = rowsByLabel.get(each.label);
    const best = each.best[state.tiou];
    const write = (column, text, value) => {
      const cell = row.querySelector(`[data-column="${column}"]`);
      cell.textContent = text;
      cell.dataset.value = value ?? -1;
    };
    write("ap", percent(each.ap[state.tiou]), each.ap[state.tiou]);
    write("threshold", best ? String(best.threshold) : "–", best?.threshold);
    for (const column of ["precision", "recall", "f1"]) write(column, percent(best?.[column] ?? null, 0), best?.[column]);
  }
}

function sortBy(head) {
  const falling = head.getAttribute("aria-sort") === "descending" || (!head.hasAttribute("aria-sort") && head.dataset.kind === "text");
  for (const other of head.parentElement.cells) other.removeAttribute("aria-sort");
  head.setAttribute("aria-sort", falling ? "ascending" : "descending");
  const sign = falling ? 1 : -1;
  const key = (row) => row.cells[head.cellIndex].dataset.value;
  const compare =
    head.dataset.kind === "text" ? (a, b) => key(a).localeCompare(key(b)) : (a, b) => Number(key(a)) - Number(key(b));
  const body = head.closest("table").tBodies[0];
  body.append(...[...body.rows].sort((a, b) => sign * compare(a, b)));
}

const precisionRecall = byId("precision-recall");
const drawPrecisionRecall = precisionRecall ? responsive(precisionRecall, precisionRecallChart) : () => {};

function precisionRecallChart(width) {
  const { overall, classes } = data.curves[state.tiou];
  const several = classes.length > 1;
  const series = several ? classes.map((curve) => ofCurve(curve, `of-class ${colourOf(curve.label)} ${emphasis(curve.label, classes)}`, label(curve.label))) : [];
  series.sort((a, b) => a.class.includes("strong") - b.class.includes("strong"));
  series.push(ofCurve(overall, `overall ${highlighted === null ? "" : "faint"}`, "All classes"));
  const kept = data.totals.kept[state.threshold];
  const right = data.totals.right[state.tiou][state.threshold];
  const mark = kept && highlighted === null ? [right / data.totals.instances, right / kept] : null;
  const axis = (title) => ({ low: 0, high: 1, title, write: (value) => percent(value, 0) });
  return lineChart({
    width,
    height: Math.min(360, Math.max(240, width * 0.8)),
    x: axis("recall, %"),
    y: axis("precision, %"),
    series,
    mark,
    title: `Precision over recall at tIoU ${tiouThreshold()}, all classes and each class`,
  });
}

function emphasis(number, classes) {
  if (highlighted === null) return classes.length > data.colours ? "faint" : "";
  return highlighted === number ? "strong" : "faint";
}

function ofCurve(curve, kind, name) {
  const points = curve.recall.map((recall, k) => [recall, curve.precision[k], curve.score[k]]);
  const about = ([recall, precision, from]) => [
    named(name),
    `precision ${percent(precision)} %, recall ${percent(recall)} %`,
    `with a score from ${from}`,
  ];
  return { points, class: kind, about };
}
