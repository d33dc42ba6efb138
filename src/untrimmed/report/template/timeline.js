/* The timeline of a video: truth, detections and scores over one axis, which can be zoomed and moved. */

const LANE = 24;
const MOST_LANES = 10;
const SHORTEST_VIEW = 3; // seconds
const WIDEST_TRACK = 8e6; // pixels that browsers can still lay out

class Timeline {
  /** `seek(time)` is called when a time is chosen, `select(kind, i)` when a bar is. */
  constructor(video, { seek, select }) {
    Object.assign(this, { video, seek, select, zoom: 1, time: 0, heat: null, chosen: -1 });
    this.duration = Math.max(video.end, 0.001);
    this.ruler = make("div", { class: "ruler" });
    this.truth = this.lanes("truth", video.truth, (i) => aboutInstance(video, i));
    this.found = this.lanes("found", video.found, (i) => aboutDetection(video, i));
    this.canvas = make("canvas", { class: "heat", role: "img", "aria-label": "Scores of all moments" });
    this.playhead = make("div", { class: "playhead" });
    const parts = [this.ruler, this.truth.lanes, this.found.lanes];
    if (video.heat) parts.push(this.canvas);
    this.track = make("div", { class: "track" }, ...parts, this.playhead);
    this.scroller = make(
      "div",
      {
        class: "scroller",
        tabindex: 0,
        role: "slider",
        "aria-label": "Position in the video",
        "aria-valuemin": 0,
        "aria-valuemax": this.duration.toFixed(1),
      },
      this.track,
    );
    this.gutter = make("div", { class: "gutter", "aria-hidden": "true" });
    this.element = make("div", { class: "timeline" }, this.gutter, this.scroller);
    this.listen();
    if (video.heat) this.unpack();
  }

  async unpack() {
    try {
      this.heat = await HeatMap.unpack(this.video.heat);
    } catch {
      this.canvas.replaceWith(make("p", { class: "hint", text: "This browser is too old to show the scores." }));
    }
    this.refresh();
  }

  /** Make the bars of truth or detections. */
  lanes(kind, bars, about) {
    const lanes = make("div", { class: `lanes ${kind}` });
    const made = bars.start.map((start, i) => {
      const bar = make(
        "div",
        {
          class: `bar ${kind} ${colourOf(bars.label[i])}`,
          "data-i": i,
          style: {
            left: `${(100 * start) / this.duration}%`,
            width: `${(100 * Math.max(0, bars.end[i] - start)) / this.duration}%`,
            top: `${Math.min(bars.lane[i], MOST_LANES) * LANE}px`,
          },
        },
        named(label(bars.label[i])),
      );
      withTip(bar, () => about(i));
      bar.addEventListener("click", (event) => {
        if (this.dragged) return;
        event.stopPropagation();
        this.select(kind, i);
      });
      return bar;
    });
    lanes.append(...made);
    return { lanes, bars: made };
  }

  /** Show what the threshold and the tIoU leave. */
  refresh() {
    const { video } = this;
    const { by } = tally(video);
    this.truth.bars.forEach((bar, i) => this.dress(bar, i, by[i] >= 0));
    let depth = 1;
    let hidden = 0;
    this.found.bars.forEach((bar, i) => {
      const shown = isShown(video, i);
      const lane = video.found.lane[i];
      bar.hidden = !shown || lane >= MOST_LANES;
      if (!shown) return;
      if (bar.hidden) hidden += 1;
      else depth = Math.max(depth, lane + 1);
      this.dress(bar, i, matchOf(video, i) >= 0);
    });
    const ofTruth = Math.min(MOST_LANES, 1 + Math.max(0, ...video.truth.lane));
    this.truth.lanes.style.height = `${ofTruth * LANE}px`;
    this.found.lanes.style.height = `${depth * LANE}px`;
    this.label(ofTruth, depth, hidden);
    this.layOut();
  }

  dress(bar, i, matched) {
    bar.classList.toggle("matched", matched);
    bar.classList.toggle("unmatched", !matched);
  }

  /** Name the rows, to the left of them. */
  label(ofTruth, ofFound, hidden) {
    const row = (name, height, ...more) => make("div", { class: "row-name", style: { height: `${height}px` } }, name, ...more);
    const more = hidden ? make("small", { text: `+${count(hidden)} more` }) : null;
    const rows = [row("Truth", ofTruth * LANE), row("Found", ofFound * LANE, more)];
    if (this.heat) {
      const levels = this.heat.levels.map(({ step, joined }) =>
        make("div", { class: "level-name", style: { height: `${HEAT_ROW}px` }, text: seconds(step / joined) }),
      );
      rows.push(make("div", { class: "row-name scores" }, make("span", { text: "Scores" }), make("div", {}, ...levels)));
    }
    this.gutter.replaceChildren(...rows);
  }

  /* Zooming and moving */

  get width() {
    return this.scroller.clientWidth;
  }

  /** First and last second in view. */
  get view() {
    const from = (this.scroller.scrollLeft / (this.width * this.zoom || 1)) * this.duration;
    return [from, from + this.duration / this.zoom];
  }

  get mostZoom() {
    return clamp(this.duration / SHORTEST_VIEW, 1, Math.max(1, WIDEST_TRACK / Math.max(1, this.width)));
  }

  /** Zoom so that `time` stays where it is. */
  zoomTo(zoom, time = this.time) {
    const [from, to] = this.view;
    const inView = time >= from && time <= to ? time : (from + to) / 2;
    const part = (inView - from) / (to - from || 1);
    this.zoom = clamp(zoom, 1, this.mostZoom);
    this.track.style.width = `${100 * this.zoom}%`;
    const start = inView - (part * this.duration) / this.zoom;
    this.scroller.scrollLeft = (start / this.duration) * this.width * this.zoom;
    this.element.classList.toggle("zoomed", this.zoom > 1);
    this.layOut();
  }

  /** Scroll until a time is in view, with some room to its right. */
  reveal(time) {
    const [from, to] = this.view;
    if (time >= from && time <= to - 0.02 * (to - from)) return;
    this.scroller.scrollLeft = ((time - 0.1 * (to - from)) / this.duration) * this.width * this.zoom;
  }

  /** Draw what depends on the view: the ruler and the scores. */
  layOut = onceAFrame(() => {
    if (!this.width) return;
    const [from, to] = this.view;
    this.drawRuler(from, to);
    if (this.heat) this.heat.paint(this.canvas, from, to, this.chosen);
  });

  drawRuler(from, to) {
    const steps = [0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 43200, 86400];
    const room = to >= 3600 ? 84 : 64;
    const step = steps.find((each) => (each / (to - from)) * this.width >= room) ?? (to - from) / 4;
    const marks = [];
    for (let k = Math.ceil(from / step); k * step <= to; k++) {
      const left = ((k * step - from) / (to - from)) * this.width;
      const edge = left + 40 > this.width ? " last" : "";
      marks.push(make("span", { class: `tick${edge}`, style: { left: `${left}px` }, text: clock(k * step, step < 1 ? 1 : 0) }));
    }
    this.ruler.replaceChildren(...marks);
  }

  /** Move the playhead; `follow` keeps it in view. */
  setTime(time, follow) {
    this.time = time;
    this.playhead.style.left = `${clamp((100 * time) / this.duration, 0, 100)}%`;
    this.scroller.setAttribute("aria-valuenow", time.toFixed(1));
    this.scroller.setAttribute("aria-valuetext", `${spoken(time)} of ${spoken(this.duration)}`);
    if (follow) this.reveal(time);
  }

  /** Mark the bar that the reader has chosen. */
  mark(kind, i) {
    for (const bar of [...this.truth.bars, ...this.found.bars]) bar.classList.remove("chosen");
    if (i >= 0) this[kind].bars[i].classList.add("chosen");
  }

  timeAt(event) {
    const box = this.track.getBoundingClientRect();
    return clamp(((event.clientX - box.left) / box.width) * this.duration, 0, this.duration);
  }

  listen() {
    const { scroller } = this;
    scroller.addEventListener("scroll", () => this.layOut(), { passive: true });
    scroller.addEventListener("click", (event) => {
      if (!this.dragged) this.seek(this.timeAt(event));
    });
    scroller.addEventListener(
      "wheel",
      (event) => {
        if (!event.ctrlKey && !event.metaKey) return; // the page scrolls
        event.preventDefault();
        this.zoomTo(this.zoom * Math.exp(-event.deltaY / 300), this.timeAt(event));
      },
      { passive: false },
    );
    this.listenToDrags();
    new ResizeObserver(() => this.layOut()).observe(scroller);
    withTip(this.canvas, (event) => this.aboutScores(event));
  }

  /** On the ruler a drag moves the playhead; elsewhere, with a mouse, the view (a finger does so by itself). */
  listenToDrags() {
    const { scroller } = this;
    let drag = null;
    scroller.addEventListener("pointerdown", (event) => {
      this.dragged = false;
      if (event.button !== 0) return;
      const scrubs = this.ruler.contains(event.target);
      if (!scrubs && event.pointerType !== "mouse") return;
      drag = { scrubs, x: event.clientX, left: scroller.scrollLeft };
      if (scrubs) this.seek(this.timeAt(event));
    });
    const move = (event) => {
      if (!drag) return;
      if (Math.abs(event.clientX - drag.x) > 4 && !this.dragged) {
        this.dragged = true;
        scroller.setPointerCapture(event.pointerId);
      }
      if (!this.dragged) return;
      if (drag.scrubs) this.seek(this.timeAt(event));
      else scroller.scrollLeft = drag.left + drag.x - event.clientX;
    };
    scroller.addEventListener("pointermove", move);
    for (const end of ["pointerup", "pointercancel", "lostpointercapture"]) scroller.addEventListener(end, () => (drag = null));
  }

  aboutScores(event) {
    if (!this.heat) return null;
    const row = Math.floor((event.clientY - this.canvas.getBoundingClientRect().top) / HEAT_ROW);
    return row >= 0 && row < this.heat.levels.length ? this.heat.about(row, this.timeAt(event), this.chosen) : null;
  }
}
