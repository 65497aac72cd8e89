// From file:// a browser shows a notebook as text and does not save it. There its text comes from a script beside it.

function saveNotebook(name, text) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type: "application/x-ipynb+json" }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

addEventListener("click", event => {
  const link = event.target.closest?.("a[href$='.ipynb']");
  if (!link || location.protocol !== "file:") return;
  event.preventDefault();
  const script = document.createElement("script");
  script.src = `${link.href}.js`;
  script.onload = () => script.remove();
  document.head.append(script);
});
