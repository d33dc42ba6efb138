/* Small helpers. Whatever comes from the data reaches the page as text, never as markup. */

const SVG = "http://www.w3.org/2000/svg";

function byId(id) {
  return document.getElementById(id);
}

/** Make an HTML element. `text` is its text, `style` an object, `on*` a listener; `null` and `false` are left out. */
function make(tag, properties = {}, ...children) {
  return furnish(document.createElement(tag), properties, children);
}

/** The same for SVG. */
function draw(tag, properties = {}, ...children) {
  return furnish(document.createElementNS(SVG, tag), properties, children);
}

function furnish(element, properties, children) {
  for (const [name, value] of Object.entries(properties)) {
    if (value === null || value === undefined || value === false) continue;
    if (name === "text") element.textContent = value;
    else if (name === "style") for (const [key, each] of Object.entries(value)) element.style.setProperty(key, each);
    else if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

/** A name that came with the data; its direction of writing does not reach beyond it. */
function named(text, properties = {}) {
  return make("bdi", { ...properties, class: `name ${properties.class ?? ""}`, text: text === "" ? "(no name)" : text });
}

function clamp(value, low, high) {
  return Math.min(Math.max(value, low), high);
}

/** Write seconds as 1:02:03.4. */
function clock(seconds, decimals = 1) {
  const scale = 10 ** decimals;
  const whole = Math.round(Math.max(0, seconds) * scale);
  const rest = whole % (60 * scale);
  const minutes = Math.floor(whole / (60 * scale));
  const tail = (rest / scale).toFixed(decimals).padStart(decimals ? decimals + 3 : 2, "0");
  const hours = Math.floor(minutes / 60);
  return hours ? `${hours}:${String(minutes % 60).padStart(2, "0")}:${tail}` : `${minutes}:${tail}`;
}

/** Write seconds for the ear. */
function spoken(seconds) {
  const minutes = Math.floor(seconds / 60);
  return `${minutes ? `${minutes} min ` : ""}${(seconds - 60 * minutes).toFixed(1)} s`;
}

function count(number) {
  return number.toLocaleString("en");
}

function percent(part, decimals = 1) {
  return part === null || !Number.isFinite(part) ? "–" : (100 * part).toFixed(decimals);
}

/** Write a score with as many decimals as the slider's steps have. */
function score(value) {
  return value.toFixed(scoreDecimals);
}

/** Call at most once a frame, however often it is asked for. */
function onceAFrame(callback) {
  let asked = false;
  return () => {
    if (asked) return;
    asked = true;
    requestAnimationFrame(() => {
      asked = false;
      callback();
    });
  };
}

/* The one tooltip. */

const tip = byId("tip");

/** Show lines beside the pointer, or beside a place on the screen; the first line stands out. */
function showTip(place, lines) {
  tip.replaceChildren(...lines.filter(Boolean).map((line) => make("div", {}, line)));
  tip.hidden = false;
  const { width, height } = tip.getBoundingClientRect();
  const below = place.clientY + 18 + height < window.innerHeight;
  const left = clamp(place.clientX + 14, 6, Math.max(6, document.documentElement.clientWidth - width - 6));
  tip.style.left = `${left}px`;
  tip.style.top = `${Math.max(6, below ? place.clientY + 18 : place.clientY - height - 12)}px`;
}

function hideTip() {
  tip.hidden = true;
}

/** Let an element have a tooltip; `lines(event)` says what stands in it, or `null`. */
function withTip(element, lines) {
  const update = (event) => {
    const content = lines(event);
    if (content) showTip(event, content);
    else hideTip();
  };
  element.addEventListener("pointermove", update);
  element.addEventListener("pointerdown", update);
  element.addEventListener("pointerleave", hideTip);
}
