/* One video: its player, the list of what was found and missed, and its timeline. */

const MOST_LISTED = 300;

class VideoView {
  constructor(number) {
    this.number = number;
    this.video = data.videos[number];
    this.selected = null;
    this.rows = new Map();
    const seek = (time) => (this.player.time = time);
    this.timeline = new Timeline(this.video, { seek, select: (kind, i) => this.select(kind, i) });
    this.player = new Player(this.video, number, {
      onTime: (time, playing) => this.onTime(time, playing),
      onFail: (reason) => this.showNoPlayer(reason),
    });
    this.clock = make("output", { class: "clock", "aria-label": "Position" });
    this.list = make("ol", { class: "list" });
    this.caption = make("p", { class: "caption", "aria-live": "polite" });
    this.stage = make("div", { class: "stage" });
    this.element = make(
      "article",
      { class: "view", "aria-label": "Video" },
      this.heading(),
      make("div", { class: "upper" }, this.stage, this.list),
      this.controls(),
      this.timeline.element,
      this.footer(),
    );
    if (this.player.video) this.stage.append(this.player.video);
    else this.showNoPlayer(this.video.media.reason);
    this.onTime(0, false);
  }

  heading() {
    const { video } = this;
    const facts = [clock(video.duration, 0), `${count(video.truth.start.length)} instances`];
    const there = video.found.score.length;
    if (there < video.detections) facts.push(`the best ${count(there)} of ${count(video.detections)} detections`);
    this.result = make("span");
    return make(
      "header",
      {},
      make("h3", {}, named(video.name)),
      make("p", { class: "facts" }, facts.join(" · "), " · ", this.result),
    );
  }

  controls() {
    const button = (name, key, icon, action, properties = {}) =>
      make("button", { type: "button", class: "icon", title: `${name} (${key})`, "aria-label": name, onclick: action, ...properties }, symbol(icon));
    this.play = button("Play or pause", "space", "play", () => this.player.toggle(), { hidden: !this.player.video });
    this.speed = make(
      "select",
      { "aria-label": "Speed", hidden: !this.player.video, onchange: () => this.setSpeed() },
      ...["0.25", "0.5", "1", "1.5", "2", "4"].map((x) => make("option", { value: x, selected: x === "1", text: `${x} ×` })),
    );
    this.sound = button("Sound", "m", "sound", () => this.toggleSound(), { hidden: !this.player.video, "aria-pressed": "true" });
    return make(
      "div",
      { class: "controls" },
      button("Previous detection", "p", "previous", () => this.step(-1)),
      this.play,
      button("Next detection", "n", "next", () => this.step(1)),
      this.clock,
      make("span", { class: "spring" }),
      this.speed,
      this.sound,
      button("Zoom out", "−", "less", () => this.zoom(1 / 2)),
      button("Zoom in", "+", "more", () => this.zoom(2)),
      button("Whole video", "0", "whole", () => this.timeline.zoomTo(1)),
    );
  }

  footer() {
    const parts = [this.caption];
    const { heat } = this.video;
    if (heat) {
      this.classes = make(
        "select",
        { onchange: () => this.chooseScores() },
        make("option", { value: -1, text: "the strongest class" }),
        ...heat.classes.map((number, k) => make("option", { value: k, text: label(number) || "(no name)" })),
      );
      parts.push(make("label", { class: "scores-of" }, "Scores of ", this.classes));
    }
    return make("footer", {}, ...parts);
  }

  showNoPlayer(reason) {
    this.element?.classList.add("silent");
    this.stage.replaceChildren(make("p", { class: "no-player" }, named(reason)));
    this.stage.classList.add("empty");
    for (const control of [this.play, this.speed, this.sound]) control.hidden = true;
  }

  /** Show what the threshold and the tIoU leave. */
  refresh() {
    const { right, wrong, missed } = tally(this.video);
    this.result.textContent = `${count(right)} right, ${count(wrong)} wrong, ${count(missed)} missed`;
    this.timeline.refresh();
    this.fillList();
    this.describe();
  }

  /** List what is shown, right or wrong, and what is missed, by time. */
  fillList() {
    const { truth, found } = this.video;
    const entries = [];
    const { by } = tally(this.video);
    for (let i = 0; i < found.score.length && isShown(this.video, i); i++) {
      entries.push({ kind: "found", i, start: found.start[i], verdict: matchOf(this.video, i) >= 0 ? "right" : "wrong" });
    }
    by.forEach((detection, i) => {
      if (detection < 0) entries.push({ kind: "truth", i, start: truth.start[i], verdict: "missed" });
    });
    entries.sort((a, b) => a.start - b.start);
    this.entries = entries;
    this.rows.clear();
    const rows = entries.slice(0, MOST_LISTED).map((entry) => this.row(entry));
    if (entries.length > MOST_LISTED) {
      rows.push(make("li", { class: "hint", text: `and ${count(entries.length - MOST_LISTED)} more; raise the score to see fewer` }));
    }
    if (!entries.length) rows.push(make("li", { class: "hint", text: "No detection has this score, and nothing is missed." }));
    this.list.replaceChildren(...rows);
  }

  row(entry) {
    const bars = this.video[entry.kind];
    const { i, verdict } = entry;
    const value = entry.kind === "found" ? score(bars.score[i]) : "";
    const button = make(
      "button",
      { type: "button", class: `entry ${verdict}`, onclick: () => this.select(entry.kind, i) },
      make("span", { class: "mark", title: verdict }, symbol(verdict), make("span", { class: "unseen", text: verdict })),
      make("span", { class: `chip ${colourOf(bars.label[i])}` }),
      named(label(bars.label[i])),
      make("span", { class: "span", text: span(bars, i) }),
      make("span", { class: "score", text: value }),
    );
    this.rows.set(`${entry.kind} ${i}`, button);
    return make("li", {}, button);
  }

  /** Choose a bar: go to its start and say what it is. */
  select(kind, i) {
    this.selected = { kind, i };
    this.player.time = this.video[kind].start[i];
    this.timeline.mark(kind, i);
    this.timeline.reveal(this.video[kind].start[i]);
    this.describe();
  }

  describe() {
    this.list.querySelector(".chosen")?.classList.remove("chosen");
    const { selected, video } = this;
    const hidden = selected?.kind === "found" && !isShown(video, selected.i);
    if (!selected || hidden) {
      this.caption.replaceChildren("Click a bar to go there. Solid: matched. Hollow: wrong, or missed.");
      return;
    }
    const lines = (selected.kind === "found" ? aboutDetection : aboutInstance)(video, selected.i);
    this.caption.replaceChildren(lines[0], ` · ${lines.slice(1).join(" · ")}`);
    const row = this.rows.get(`${selected.kind} ${selected.i}`);
    if (!row) return;
    row.classList.add("chosen");
    const top = row.parentElement.offsetTop; // from the top of the list
    if (top < this.list.scrollTop || top + row.offsetHeight > this.list.scrollTop + this.list.clientHeight) {
      this.list.scrollTop = top - this.list.clientHeight / 3;
    }
  }

  /** Go to the next or the previous of the shown detections. */
  step(direction) {
    const { start } = this.video.found;
    const shown = this.entries.filter((entry) => entry.kind === "found");
    const now = this.player.time;
    const ahead = direction > 0 ? shown.find((e) => start[e.i] > now + 0.02) : shown.findLast((e) => start[e.i] < now - 0.02);
    if (ahead) this.select("found", ahead.i);
  }

  onTime(time, playing) {
    this.timeline.setTime(time, playing);
    this.clock.textContent = `${clock(time)} / ${clock(this.video.end)}`;
    if (this.play && this.play.dataset.playing !== String(playing)) {
      this.play.dataset.playing = playing;
      this.play.replaceChildren(symbol(playing ? "pause" : "play"));
    }
  }

  zoom(factor) {
    this.timeline.zoomTo(this.timeline.zoom * factor);
  }

  chooseScores() {
    this.timeline.chosen = Number(this.classes.value);
    this.timeline.layOut();
  }

  setSpeed() {
    if (this.player.video) this.player.video.playbackRate = Number(this.speed.value);
  }

  toggleSound() {
    if (!this.player.video) return;
    this.player.video.muted = !this.player.video.muted;
    this.sound.setAttribute("aria-pressed", String(!this.player.video.muted));
    this.sound.replaceChildren(symbol(this.player.video.muted ? "mute" : "sound"));
  }
}

const SYMBOLS = {
  play: "M5 3.5v9l7.5-4.5z",
  pause: "M4.5 3.5h2.4v9H4.5zM9.1 3.5h2.4v9H9.1z",
  previous: "M4 3.5h1.6v9H4zM12.5 3.5v9L6.3 8z",
  next: "M10.4 3.5H12v9h-1.6zM3.5 3.5v9L9.7 8z",
  less: "M3.5 7.2h9v1.6h-9z",
  more: "M7.2 3.5h1.6v3.7h3.7v1.6H8.8v3.7H7.2V8.8H3.5V7.2h3.7z",
  whole: "M1.8 3.5h1.5v9H1.8zM12.7 3.5h1.5v9h-1.5zM4.2 8 6.9 5.4v1.9h2.2V5.4L11.8 8 9.1 10.6V8.7H6.9v1.9z",
  sound: "M2.5 6v4h2.3L8 12.8V3.2L4.8 6zM9.6 5.2a3.6 3.6 0 0 1 0 5.6l.9 1a5 5 0 0 0 0-7.6z",
  mute: "M2.5 6v4h2.3L8 12.8V3.2L4.8 6zM9.4 6.4l1-1 1.5 1.5 1.5-1.5 1 1L12.9 8l1.5 1.5-1 1L11.9 9l-1.5 1.5-1-1L10.9 8z",
  right: "M6.4 12.3 2.6 8.5l1.2-1.2 2.6 2.6 5.8-5.8 1.2 1.2z",
  wrong: "m4.4 3.2 3.6 3.6 3.6-3.6 1.2 1.2L9.2 8l3.6 3.6-1.2 1.2L8 9.2l-3.6 3.6-1.2-1.2L6.8 8 3.2 4.4z",
  missed: "M8 2.8a5.2 5.2 0 1 0 0 10.4A5.2 5.2 0 0 0 8 2.8zm0 1.6a3.6 3.6 0 1 1 0 7.2 3.6 3.6 0 0 1 0-7.2z",
};

function symbol(name) {
  return draw("svg", { class: "symbol", viewBox: "0 0 16 16", width: 16, height: 16, "aria-hidden": "true" }, draw("path", { d: SYMBOLS[name] }));
}
