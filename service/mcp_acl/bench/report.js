// What a mark says is told at once, beside the pointer; without this script a browser tells it by itself, later.
"use strict";

const told = document.createElement("div");
told.id = "told";
told.hidden = true;
document.body.append(told);

for (const title of document.querySelectorAll("svg title")) {
  const owner = title.parentNode;
  owner.setAttribute("aria-label", title.textContent);
  if (owner.classList.contains("mark")) owner.dataset.says = title.textContent;
  title.remove();
}

function tell(event) {
  const mark = event.target instanceof Element ? event.target.closest("[data-says]") : null;
  told.hidden = !mark;
  if (!mark) return;
  told.textContent = mark.dataset.says;
  const { clientWidth: width, clientHeight: height } = document.documentElement;
  const box = told.getBoundingClientRect();
  const below = event.clientY + 18 + box.height > height;
  told.style.left = `${Math.max(4, Math.min(event.clientX + 14, width - box.width - 8))}px`;
  told.style.top = `${below ? event.clientY - box.height - 12 : event.clientY + 18}px`;
}

document.addEventListener("pointermove", tell);
document.addEventListener("pointerdown", tell);
document.addEventListener("scroll", () => { told.hidden = true; }, { passive: true });

const save = document.getElementById("save");
if (save) {
  save.hidden = false;
  save.addEventListener("click", () => {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([document.getElementById("data").textContent], { type: "application/json" }));
    link.download = "bench.json";
    link.click();
    URL.revokeObjectURL(link.href);
  });
}
