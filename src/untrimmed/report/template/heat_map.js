/* What the model saw: the score of every moment, a row for each level of the pyramid. */

const OTHER_CLASS = 255;
const HEAT_ROW = 14;

class HeatMap {
  /** Unpack what `heat_map.py` has packed; waits for the browser to inflate it. */
  static async unpack(heat) {
    const packed = Uint8Array.from(atob(heat.data), (c) => c.charCodeAt(0));
    const inflated = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"));
    return new HeatMap(heat, new Uint8Array(await new Response(inflated).arrayBuffer()));
  }

  constructor(heat, bytes) {
    this.classes = heat.classes;
    let at = 0;
    this.levels = heat.columns.map((columns, k) => {
      const planes = Array.from({ length: 2 + heat.classes.length }, (_, p) => bytes.subarray(at + p * columns, at + (p + 1) * columns));
      at += planes.length * columns;
      return { columns, planes, first: heat.first[k], step: heat.step[k], joined: heat.joined[k] };
    });
  }

  /** The column of a level with the highest value between two times, or -1 where the level has none. */
  peak(level, plane, from, to) {
    const first = Math.max(0, Math.floor((from - level.first) / level.step + 0.5));
    const last = Math.min(level.columns - 1, Math.ceil((to - level.first) / level.step + 0.5) - 1);
    let best = first <= last ? first : -1;
    for (let c = first + 1; c <= last; c++) if (level.planes[plane][c] > level.planes[plane][best]) best = c;
    return best;
  }

  /** Paint the seconds `from` to `to` over the width of a canvas; `chosen` is an index into `classes`, or -1 for all. */
  paint(canvas, from, to, chosen) {
    const width = Math.max(1, Math.round(canvas.clientWidth * devicePixelRatio));
    const palette = colours();
    const image = new ImageData(width, this.levels.length);
    const second = (to - from) / width;
    this.levels.forEach((level, row) => {
      const plane = chosen < 0 ? 0 : 2 + chosen;
      for (let x = 0; x < width; x++) {
        const column = this.peak(level, plane, from + x * second, from + (x + 1) * second);
        const place = 4 * (row * width + x);
        const pixel = column < 0 ? [0, 0, 0, 0] : this.colour(palette, level, plane, column, chosen);
        image.data.set(pixel, place);
      }
    });
    const rows = new OffscreenCanvas(width, this.levels.length);
    rows.getContext("2d").putImageData(image, 0, 0);
    canvas.width = width;
    canvas.height = Math.round(this.levels.length * HEAT_ROW * devicePixelRatio);
    const context = canvas.getContext("2d");
    context.imageSmoothingEnabled = false;
    this.levels.forEach((_, row) => {
      const top = Math.round(row * HEAT_ROW * devicePixelRatio);
      const tall = Math.round((HEAT_ROW - 1) * devicePixelRatio);
      context.drawImage(rows, 0, row, width, 1, 0, top, width, tall);
    });
  }

  colour(palette, level, plane, column, chosen) {
    const part = (level.planes[plane][column] / 255) ** 0.75; // so that weak scores can be seen
    const winner = chosen < 0 ? level.planes[1][column] : chosen;
    const strong = winner === OTHER_CLASS ? palette.muted : palette.classes[this.classes[winner] % data.colours];
    return [...palette.sunken.map((low, k) => low + part * (strong[k] - low)), 255];
  }

  /** What a tooltip says of a level at a time. */
  about(row, time, chosen) {
    const level = this.levels[row];
    const plane = chosen < 0 ? 0 : 2 + chosen;
    const column = this.peak(level, plane, time, time);
    const title = `Level ${row}: a moment every ${seconds(level.step / level.joined)}`;
    if (column < 0) return [title, `${clock(time)}: no moment`];
    const winner = chosen < 0 ? level.planes[1][column] : chosen;
    const what = winner === OTHER_CLASS ? "another class" : named(label(this.classes[winner]));
    const value = (level.planes[plane][column] / 255).toFixed(2);
    return [title, make("span", {}, `${clock(level.first + column * level.step)}: `, what, ` ${value}`)];
  }
}

function seconds(value) {
  return `${value < 1 ? value.toPrecision(2) : Number(value.toPrecision(3))} s`;
}
