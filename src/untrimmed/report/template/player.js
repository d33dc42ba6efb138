/* The player of a video; where there is none, only the time that the reader has chosen. */

class Player {
  /** `onTime(time, playing)` is called whenever the time changes, `onFail(reason)` if the file cannot be played. */
  constructor(video, number, { onTime, onFail }) {
    Object.assign(this, { onTime, onFail, chosen: 0, address: null, video: null });
    this.end = video.end;
    if (video.media.kind === "none") return;
    this.address = video.media.kind === "link" ? video.media.address : embedded(number, video.media.type);
    this.video = make("video", { src: this.address, preload: "auto", playsinline: true, tabindex: -1, "aria-label": "Video" });
    this.video.addEventListener("click", () => this.toggle());
    this.video.addEventListener("loadedmetadata", () => this.fit());
    for (const event of ["timeupdate", "seeking", "seeked", "pause", "ended"]) this.video.addEventListener(event, () => this.tell());
    this.video.addEventListener("play", () => this.follow());
    this.video.addEventListener("error", () => this.fail(video));
  }

  fail(video) {
    this.chosen = this.time;
    this.video = null;
    const kind = video.media.kind === "link" ? "Is it still where the report was made for?" : "";
    this.onFail(`There is no player, because this browser cannot play the video file. ${kind}`);
  }

  /** Give the place of the video its proportions. */
  fit() {
    const { videoWidth, videoHeight, parentElement } = this.video ?? {};
    if (videoWidth && parentElement) parentElement.style.aspectRatio = `${videoWidth} / ${videoHeight}`;
  }

  get time() {
    return this.video ? this.video.currentTime : this.chosen;
  }

  set time(value) {
    const time = clamp(value, 0, this.end);
    this.chosen = time;
    if (this.video) this.video.currentTime = time;
    this.onTime(time, this.playing);
  }

  get playing() {
    return Boolean(this.video && !this.video.paused && !this.video.ended);
  }

  toggle() {
    if (!this.video) return;
    if (this.playing) this.video.pause();
    else this.video.play().catch(() => {}); // what cannot be played reports an error by itself
  }

  tell() {
    if (this.video) this.onTime(this.video.currentTime, this.playing);
  }

  /** Report the time at every frame while it plays. */
  follow() {
    this.tell();
    if (this.playing) requestAnimationFrame(() => this.follow());
  }

  dispose() {
    this.onTime = () => {};
    this.onFail = () => {};
    if (this.video) {
      this.video.pause();
      this.video.removeAttribute("src");
      this.video.load();
    }
    if (this.address && this.address.startsWith("blob:")) URL.revokeObjectURL(this.address);
  }
}

/** The address of a video that the page carries. Not all browsers play `data:` addresses, but all play this. */
function embedded(number, type) {
  const bytes = Uint8Array.from(atob(byId(`media-${number}`).textContent.trim()), (c) => c.charCodeAt(0));
  return URL.createObjectURL(new Blob([bytes], { type }));
}
