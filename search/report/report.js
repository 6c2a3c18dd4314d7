// Copy buttons. Pages opened from a file may lack navigator.clipboard: the selection does then.
for (const button of document.querySelectorAll("button[data-copies]")) {
  const code = document.getElementById(button.dataset.copies);
  button.addEventListener("click", async () => {
    let copied = false;
    try {
      await navigator.clipboard.writeText(code.textContent);
      copied = true;
    } catch {
      getSelection().selectAllChildren(code);
      copied = document.execCommand("copy");
    }
    button.textContent = copied ? "Copied" : "Press Ctrl+C";
    setTimeout(() => { button.textContent = "Copy"; }, 2000);
  });
}

// The page of a search that goes on loads itself anew, and stays where it was scrolled to.
const live = document.getElementById("live");
const place = `dslc ${location.pathname}`;
const scrolled = () => [document.scrollingElement, ...document.querySelectorAll(".scroll, .drawing, pre")];
try {
  const kept = JSON.parse(sessionStorage.getItem(place) ?? "[]");
  sessionStorage.removeItem(place);
  scrolled().forEach((element, i) => { if (kept[i]) [element.scrollLeft, element.scrollTop] = kept[i]; });
} catch { /* some browsers keep nothing for files: then they keep the place themselves */ }
if (live) {
  const pause = Number(live.dataset.pause);
  const tell = () => {
    const age = Math.max(0, Math.round(Date.now() / 1000 - Number(live.dataset.written)));
    const ago = age < 120 ? `${age} s` : `${Math.round(age / 60)} min`;
    const isStale = age > 60 + 10 * pause;
    live.classList.toggle("stale", isStale);
    live.textContent = isStale
      ? `Nothing new for ${ago}: the search has stopped, or trains a long child. The command dslc report tells.`
      : `The search goes on: written ${ago} ago, loads itself anew.`;
  };
  tell();
  setInterval(tell, 1000);
  setInterval(() => {
    if (document.hidden || !getSelection().isCollapsed) return;  // nobody looks, or somebody copies
    try {
      sessionStorage.setItem(place, JSON.stringify(scrolled().map(e => [e.scrollLeft, e.scrollTop])));
    } catch { /* see above */ }
    location.reload();
  }, 1000 * pause);
}
