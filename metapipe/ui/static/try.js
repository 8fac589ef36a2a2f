// A lesson: what is on the sheet becomes an example of a class, or is asked about.
// The server holds the lesson; what is shown is what it tells, always as text.
"use strict";

import { Sheet } from "./sheet.js";

const $ = (id) => document.getElementById(id);
const root = $("lesson");
const sheet = new Sheet($("sheet"), () => ask());
let lesson = null; // as the server told it last
let asking = 0; // answers to older questions are not shown

/** Asks the server; an error is told in the line that its page has. */
async function request(method, path, fields = {}) {
  const body = method === "POST" ? new FormData() : undefined;
  for (const [name, value] of Object.entries(fields))
    for (const each of [value].flat())
      each instanceof Blob ? body.append(name, each, each.name ?? "drawing.png") : body.append(name, each);
  const answer = await fetch(`/try/lessons${path}`, { method, body });
  if (answer.ok) return answer.json();
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const error = new Error(page.querySelector(".fault")?.textContent ?? "the server cannot be reached");
  error.status = answer.status;
  throw error;
}

/** Does it, and tells what went wrong. */
async function attempt(act) {
  try {
    $("fault").hidden = true;
    return await act();
  } catch (error) {
    $("fault").textContent = error.message;
    $("fault").hidden = false;
    return null;
  }
}

/** Does something to the lesson, shows it, and asks again about what is on the sheet. */
async function change(method, path, fields) {
  const found = await attempt(() => request(method, `/${lesson.key}${path}`, fields));
  if (!found) {
    await request("GET", `/${lesson.key}`).then(show, () => {}); // a part may be done
    return null;
  }
  show(found);
  await ask();
  return found;
}

async function begin() {
  const place = location.pathname + location.search;
  const before = sessionStorage.getItem(place);
  const found =
    (before && (await request("GET", `/${before}`).catch(() => null))) ||
    (await attempt(() => request("POST", "", { ...root.dataset })));
  $("opening").hidden = true;
  root.hidden = false;
  if (!found) return;
  sessionStorage.setItem(place, found.key);
  show(found);
  await ask();
}

/** What is on the sheet, or what these files are. */
async function ask(files = null) {
  const mine = ++asking;
  $("answer").setAttribute("aria-busy", "true");
  const nothing = !files && sheet.empty;
  if (!lesson || lesson.lacks || nothing) return say(lesson?.lacks ?? "draw something");
  const pictures = files ?? [await sheet.content()];
  const found = await attempt(() => request("POST", `/${lesson.key}/answers`, { picture: pictures }));
  if (mine !== asking) return;
  if (found) answer(found);
  else say("no answer");
}

function say(text) {
  const line = document.createElement("p");
  line.className = "quiet";
  line.textContent = text;
  $("answer").replaceChildren(line);
  weigh({});
  $("answer").removeAttribute("aria-busy");
}

function answer({ answers, expected }) {
  const one = answers.length === 1;
  $("answer").replaceChildren(...answers.map((each) => said(each, one ? "" : `${each.name}: `)));
  $("expected").textContent = expected ?? "";
  weigh(one ? answers[0].probabilities : {});
  $("answer").removeAttribute("aria-busy");
}

function said({ verdict, strange, seen }, name) {
  const figure = cloned("said");
  figure.classList.toggle("strange", strange);
  figure.querySelector("figcaption").textContent = name + verdict;
  const picture = figure.querySelector("img");
  if (seen) picture.src = seen;
  picture.hidden = !seen;
  return figure;
}

/** Shows how likely each class is, if that is known. */
function weigh(probabilities) {
  const most = Math.max(...Object.values(probabilities));
  for (const item of $("shares").children) {
    const { name } = item.dataset; // "constructor" is a name as any other
    const found = Object.hasOwn(probabilities, name) ? probabilities[name] : undefined;
    item.classList.toggle("likeliest", found === most);
    item.querySelector("meter").value = found ?? 0;
    item.querySelector(".percent").textContent = found === undefined ? "" : `${Math.round(100 * found)} %`;
  }
}

function share({ number, name }) {
  const item = cloned("share");
  item.dataset.name = name;
  item.querySelector("meter").setAttribute("aria-label", `how likely it is ${name}`);
  const teach = item.querySelector(".teach");
  teach.id = `teach-${number}`;
  teach.textContent = lesson.learns ? `It is ${name}` : name;
  teach.disabled = !lesson.learns;
  teach.addEventListener("click", () => learn(number));
  return item;
}

function show(found) {
  lesson = found;
  const focused = document.activeElement?.id;
  $("shares").replaceChildren(...lesson.classes.map(share));
  $("classes").replaceChildren(...lesson.classes.map(card));
  if (focused) $(focused)?.focus();
  $("more").hidden = lesson.ways !== null;
  $("how").hidden = !lesson.learns;
  $("expected").textContent = "";
  if ($("keep")) $("keep").hidden = !lesson.learns || lesson.lacks !== null;
}

function card({ number, name, examples }) {
  const item = cloned("class");
  const part = (selector) => item.querySelector(selector);
  const path = `/classes/${number}`;
  const named = part(".name");
  named.value = name;
  named.id = `name-${number}`;
  named.disabled = !lesson.learns;
  named.addEventListener("change", async () => {
    if (!(await change("POST", path, { name: named.value }))) named.value = name;
  });
  const files = part(".pictures");
  files.id = `pictures-${number}`;
  part(".what").textContent = `Pictures of ${name}`;
  files.addEventListener("change", () => give(number, [...files.files]));
  const drop = part(".drop");
  drop.textContent = `Remove ${name}`;
  drop.hidden = lesson.ways !== null || lesson.classes.length < 3;
  drop.addEventListener("click", () => change("DELETE", path));
  part(".examples").replaceChildren(...examples.map((each) => thumbnail(each, name)));
  part(".row").hidden = !lesson.learns;
  takeDrops(item, (pictures) => give(number, pictures));
  return item;
}

function thumbnail({ number, name, seen }, label) {
  const item = cloned("example");
  const button = item.firstElementChild;
  button.setAttribute("aria-label", `Take ${name} from ${label}`);
  button.title = `${name}: take it away`;
  if (seen) {
    const picture = new Image();
    picture.alt = "";
    picture.src = `/try/lessons/${lesson.key}/examples/${number}`;
    button.append(picture);
  } else button.textContent = name;
  button.addEventListener("click", () => change("DELETE", `/examples/${number}`));
  return item;
}

async function learn(number) {
  if (sheet.empty) return say("draw something first, or choose pictures");
  const content = await sheet.content();
  const drawn = sheet.take();
  if (!(await give(number, [content]))) sheet.put(drawn);
}

const give = (number, pictures) =>
  pictures.length && change("POST", "/examples", { class: number, picture: pictures });

function takeDrops(place, take) {
  const over = (is) => (event) => {
    event.preventDefault();
    place.classList.toggle("over", is);
  };
  place.addEventListener("dragover", over(true));
  place.addEventListener("dragleave", over(false));
  place.addEventListener("drop", (event) => {
    over(false)(event);
    const files = [...event.dataTransfer.files];
    if (files.length) take(files);
  });
}

const judge = (files) => (files.length === 1 ? sheet.lay(files[0]) : ask(files));
const cloned = (id) => $(id).content.firstElementChild.cloneNode(true);

$("undo").addEventListener("click", () => sheet.undo());
$("clear").addEventListener("click", () => sheet.clear());
$("asked").addEventListener("change", ({ target }) => target.files.length && judge([...target.files]));
takeDrops($("sheet"), judge);

$("more").addEventListener("submit", async (event) => {
  event.preventDefault();
  const { name } = event.target.elements;
  if (await change("POST", "/classes", { name: name.value })) name.value = "";
});

$("keep")?.addEventListener("submit", async (event) => {
  event.preventDefault();
  const { name } = event.target.elements;
  const found = await attempt(() => request("POST", `/${lesson.key}/model`, { name: name.value }));
  if (found) $("kept").textContent = `kept: metapipe predict '${found.kept}' FILES`;
});

begin();
