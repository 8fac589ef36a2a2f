// A button with data-copy="ADDRESS" puts the text that is there on the clipboard.
"use strict";

document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  const told = button.parentElement.querySelector("[role=status]");
  try {
    const answer = await fetch(button.dataset.copy);
    if (!answer.ok) throw new Error(answer.statusText); // which its page tells
    await navigator.clipboard.writeText(await answer.text());
    told.textContent = "copied";
  } catch {
    location.href = button.dataset.copy; // no clipboard, as over plain HTTP
  }
});
