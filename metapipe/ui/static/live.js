// What runs is asked for again: each element with data-live="SECONDS" is put in place
// anew from the same address, as long as somebody looks.
"use strict";

const live = () => [...document.querySelectorAll("[data-live]")];

async function renew() {
  const busy = live().some((each) => each.querySelector(":checked"));
  if (!document.hidden && !busy) {
    const answer = await fetch(location.href);
    if (answer.ok) {
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      for (const old of live()) put(page.getElementById(old.id), old);
    }
  }
  plan();
}

function put(fresh, old) {
  const focused = old.contains(document.activeElement) && document.activeElement;
  const scrolled = [...old.querySelectorAll(".wide")].map((each) => each.scrollLeft);
  if (!fresh) return;
  old.replaceWith(fresh);
  fresh.querySelectorAll(".wide").forEach((each, i) => (each.scrollLeft = scrolled[i]));
  if (focused)
    [...fresh.querySelectorAll(focused.localName)].find((each) => like(each, focused))?.focus();
}

const like = (one, other) =>
  one.textContent === other.textContent && one.getAttribute("href") === other.getAttribute("href");

function plan() {
  const seconds = Math.min(...live().map((each) => Number(each.dataset.live)));
  if (Number.isFinite(seconds)) setTimeout(() => renew().catch(plan), 1000 * seconds);
}

document.addEventListener("DOMContentLoaded", plan);
