/* Charts as SVG, drawn anew at the width that they get. */

/** Draw a chart into `host` whenever its width changes; `render(width)` returns an SVG element. */
function responsive(host, render) {
  let width = 0;
  const redraw = () => {
    if (width > 0) host.replaceChildren(render(width));
  };
  new ResizeObserver(([entry]) => {
    const now = Math.floor(entry.contentRect.width);
    if (now === width) return;
    width = now;
    redraw();
  }).observe(host);
  return redraw;
}

/** Round numbers from `low` to `high`, about so many. */
function ticks(low, high, about) {
  const raw = (high - low) / Math.max(1, about);
  if (!(raw > 0)) return [low];
  const size = 10 ** Math.floor(Math.log10(raw));
  const step = size * [1, 2, 5, 10].find((factor) => factor * size >= raw * 0.999);
  const first = Math.ceil(low / step - 1e-9);
  const found = [];
  for (let k = first; k * step <= high + step * 1e-9; k++) found.push(Number((k * step).toPrecision(12)));
  return found;
}

/**
 * A chart of lines.
 *
 * x and y are `{low, high, title, write}`; a series is `{points: [[x, y], ...], class, about(point)}`, where `about`
 * gives the lines of its tooltip, or is left out; `mark` is a point to stand out.
 */
function lineChart({ width, height, x, y, series, mark, title }) {
  const left = 40;
  const [right, top, bottom] = [12, y.title ? 26 : 12, 36];
  const atX = (value) => left + ((value - x.low) / (x.high - x.low || 1)) * (width - left - right);
  const atY = (value) => height - bottom - ((value - y.low) / (y.high - y.low || 1)) * (height - top - bottom);
  const svg = draw("svg", { class: "chart", width, height, viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": title });
  for (const value of ticks(y.low, y.high, 4)) {
    svg.append(
      draw("line", { class: "grid", x1: left, x2: width - right, y1: atY(value), y2: atY(value) }),
      draw("text", { class: "tick", x: left - 8, y: atY(value) + 4, "text-anchor": "end", text: y.write(value) }),
    );
  }
  for (const value of ticks(x.low, x.high, Math.max(2, Math.floor(width / 90)))) {
    if (x.whole && !Number.isInteger(value)) continue;
    svg.append(draw("text", { class: "tick", x: atX(value), y: height - bottom + 17, "text-anchor": "middle", text: x.write(value) }));
  }
  svg.append(draw("text", { class: "axis", x: width - right, y: height - 4, "text-anchor": "end", text: x.title }));
  if (y.title) svg.append(draw("text", { class: "axis", x: left - 32, y: top - 12, text: y.title }));
  for (const { points, class: kind } of series) {
    if (points.length > 1) {
      const path = points.map(([px, py], k) => `${k ? "L" : "M"}${atX(px).toFixed(1)} ${atY(py).toFixed(1)}`).join("");
      svg.append(draw("path", { class: `line ${kind}`, d: path }));
    } else for (const [px, py] of points) svg.append(draw("circle", { class: `dot ${kind}`, cx: atX(px), cy: atY(py), r: 3 }));
  }
  if (mark) svg.append(draw("circle", { class: "ring", cx: atX(mark[0]), cy: atY(mark[1]), r: 5.5 }));
  const dot = draw("circle", { class: "hover", r: 4.5, visibility: "hidden" });
  svg.append(dot);
  hoverNearest(svg, series, atX, atY, dot);
  return svg;
}

/** Let the point that is nearest to the pointer have a dot and a tooltip. */
function hoverNearest(svg, series, atX, atY, dot) {
  const candidates = series.filter((each) => each.about).flatMap((each) => each.points.map((point) => ({ each, point })));
  const distance = (event, { point }) => {
    const box = svg.getBoundingClientRect();
    return Math.hypot(atX(point[0]) - (event.clientX - box.left), atY(point[1]) - (event.clientY - box.top));
  };
  withTip(svg, (event) => {
    let nearest = null;
    let least = 40;
    for (const candidate of candidates) {
      const away = distance(event, candidate);
      if (away < least) [nearest, least] = [candidate, away];
    }
    dot.setAttribute("visibility", nearest ? "visible" : "hidden");
    if (!nearest) return null;
    dot.setAttribute("cx", atX(nearest.point[0]));
    dot.setAttribute("cy", atY(nearest.point[1]));
    dot.setAttribute("class", `hover ${nearest.each.class}`);
    return nearest.each.about(nearest.point);
  });
  svg.addEventListener("pointerleave", () => dot.setAttribute("visibility", "hidden"));
}

/** mAP at each tIoU, as columns with their values on top. */
function columnChart({ width, height, names, values, title, about }) {
  const [top, bottom] = [20, 22];
  const room = width / values.length;
  const bar = Math.min(44, room * 0.68);
  const svg = draw("svg", { class: "chart", width, height, viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": title });
  values.forEach((value, i) => {
    const middle = (i + 0.5) * room;
    const tall = Math.max(1, (value ?? 0) * (height - top - bottom));
    const column = draw(
      "g",
      { class: "column" },
      draw("rect", { class: "hit", x: i * room, y: 0, width: room, height }),
      draw("rect", { class: "rest", x: middle - bar / 2, y: top, width: bar, height: height - top - bottom, rx: 3 }),
      draw("rect", { class: "full", x: middle - bar / 2, y: height - bottom - tall, width: bar, height: tall, rx: 3 }),
      draw("text", { class: "value", x: middle, y: top - 6, "text-anchor": "middle", text: percent(value) }),
      draw("text", { class: "tick", x: middle, y: height - 5, "text-anchor": "middle", text: names[i] }),
    );
    withTip(column, () => about(i));
    svg.append(column);
  });
  return svg;
}
