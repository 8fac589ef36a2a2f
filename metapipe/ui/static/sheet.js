// A sheet to draw on, with a mouse, a finger, a pen, or the arrow keys.
"use strict";

const PEN = 0.05; // width of a line, in parts of the sheet's side
const BOX = 0.7; // what a sign fills when it is sent: as letters do in data sets of them
const LARGEST = 3; // times that a small sign is enlarged, or a dot would become a blot
const STEP = 1 / 28;
const MOVES = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

export class Sheet {
  /** `changed` is called when a stroke ends, and when there is another picture. */
  constructor(canvas, changed) {
    this.canvas = canvas;
    this.changed = changed;
    this.strokes = []; // of points [x, y], in parts of the side
    this.picture = null; // a file that lies on the sheet instead
    this.pointer = null;
    this.pen = null; // where the keys have moved it, and whether it is down
    canvas.addEventListener("pointerdown", (event) => this.#down(event));
    canvas.addEventListener("pointermove", (event) => this.#move(event));
    for (const name of ["pointerup", "pointercancel"])
      canvas.addEventListener(name, (event) => this.#up(event));
    canvas.addEventListener("keydown", (event) => this.#key(event));
    canvas.addEventListener("blur", () => this.#lift());
    this.#show();
  }

  get empty() {
    return !this.picture && !this.strokes.length;
  }

  clear() {
    this.take();
    this.changed();
  }

  /** What is on the sheet, which is empty then. */
  take() {
    const { strokes, picture } = this;
    this.#reset();
    this.#show();
    return { strokes, picture };
  }

  /** What was taken, unless there is something else by now. */
  put({ strokes, picture }) {
    if (!this.empty) return;
    this.strokes = strokes;
    if (picture) this.lay(picture);
    else this.#show();
  }

  undo() {
    if (this.picture) this.#reset();
    else this.strokes.pop();
    this.#show();
    this.changed();
  }

  async lay(file) {
    this.#reset();
    this.picture = file;
    this.#show();
    try {
      const image = await createImageBitmap(file);
      if (this.picture !== file) return;
      const side = this.canvas.width;
      const scale = side / Math.max(image.width, image.height);
      const [width, height] = [image.width * scale, image.height * scale];
      this.#paper().drawImage(image, (side - width) / 2, (side - height) / 2, width, height);
    } catch {
      // a format that the browser does not show; the server may know it
    }
    this.changed();
  }

  /** What is sent: the file as it is, or the sign in the middle of a sheet. */
  async content() {
    if (this.picture) return this.picture;
    const canvas = document.createElement("canvas");
    canvas.width = canvas.height = this.canvas.width;
    paint(canvas, fitted(this.strokes));
    return new Promise((done) => canvas.toBlob(done, "image/png"));
  }

  #reset() {
    this.strokes = [];
    this.picture = this.pointer = this.pen = null;
  }

  #paper() {
    return this.canvas.getContext("2d");
  }

  #show() {
    const shown = this.picture ? [] : this.strokes;
    paint(this.canvas, shown);
    if (!this.pen) return;
    const [side, paper] = [this.canvas.width, this.#paper()];
    paper.strokeStyle = this.pen.down ? "#b42318" : "#0a5fa8";
    paper.lineWidth = 3;
    paper.beginPath();
    paper.arc(this.pen.at[0] * side, this.pen.at[1] * side, 9, 0, 7);
    paper.stroke();
  }

  #place(event) {
    const box = this.canvas.getBoundingClientRect();
    return [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
  }

  #down(event) {
    if (event.button || this.pointer !== null) return;
    this.#begin();
    this.pen = null;
    this.pointer = event.pointerId;
    this.canvas.setPointerCapture(event.pointerId);
    this.strokes.push([this.#place(event)]);
    this.#show();
  }

  #move(event) {
    if (event.pointerId !== this.pointer) return;
    const between = event.getCoalescedEvents?.() ?? [];
    for (const each of between.length ? between : [event])
      this.strokes.at(-1).push(this.#place(each));
    this.#show();
  }

  #up(event) {
    if (event.pointerId !== this.pointer) return;
    this.pointer = null;
    this.changed();
  }

  #key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key in MOVES) this.#step(MOVES[event.key]);
    else if (event.key === " ") this.#press();
    else if (event.key === "Backspace") this.undo();
    else return;
    event.preventDefault();
  }

  #step([x, y]) {
    this.#begin();
    this.pen ??= { at: [0.5, 0.5], down: false };
    this.pen.at = [x, y].map((d, i) => Math.min(1, Math.max(0, this.pen.at[i] + d * STEP)));
    if (this.pen.down) this.strokes.at(-1).push(this.pen.at);
    this.#show();
  }

  #press() {
    this.#begin();
    this.pen ??= { at: [0.5, 0.5], down: false };
    if (this.pen.down) return this.#lift();
    this.pen.down = true;
    this.strokes.push([this.pen.at]);
    this.#show();
  }

  #lift() {
    if (!this.pen?.down) return;
    this.pen.down = false;
    this.#show();
    this.changed();
  }

  /** A stroke takes the place of a picture. */
  #begin() {
    if (this.picture) this.#reset();
  }
}

/** The strokes in the middle, as large as a letter of a data set. */
function fitted(strokes) {
  const [xs, ys] = [0, 1].map((i) => strokes.flat().map((point) => point[i]));
  const middle = [xs, ys].map((each) => (Math.min(...each) + Math.max(...each)) / 2);
  const size = Math.max(...[xs, ys].map((each) => Math.max(...each) - Math.min(...each)));
  const scale = Math.min(BOX / size, LARGEST);
  const moved = (point) => point.map((value, i) => (value - middle[i]) * scale + 0.5);
  return strokes.map((stroke) => stroke.map(moved));
}

/** Dark lines on white paper, in any theme: it is a picture, not the page. */
function paint(canvas, strokes) {
  const [side, paper] = [canvas.width, canvas.getContext("2d")];
  paper.fillStyle = "#ffffff";
  paper.fillRect(0, 0, side, side);
  paper.strokeStyle = "#000000";
  paper.lineWidth = PEN * side;
  paper.lineCap = paper.lineJoin = "round";
  for (const stroke of strokes) {
    paper.beginPath();
    paper.moveTo(stroke[0][0] * side, stroke[0][1] * side);
    stroke.forEach(([x, y]) => paper.lineTo(x * side, y * side)); // a dot is a line too
    paper.stroke();
  }
}
