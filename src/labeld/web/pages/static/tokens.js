// Copies the token that is shown this once.
"use strict";

const token = document.getElementById("token");
const copy = document.getElementById("copy");

copy.hidden = false;
copy.addEventListener("click", async () => {
  token.select();
  try {
    await navigator.clipboard.writeText(token.value);
    document.getElementById("copied").textContent = "Copied.";
  } catch {
    // Only https and localhost have a clipboard.
    document.getElementById("copied").textContent = "Selected: press Ctrl-C.";
  }
});
