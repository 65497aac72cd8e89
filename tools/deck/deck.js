// Sets the formulas, makes the letters of each slide as small as it needs, and starts the slides.
(async () => {
  const sizes = [1.15, 1.07, 1, 0.94, 0.88, 0.82, 0.77, 0.72, 0.67, 0.62, 0.58]
  // Letters may lean out of their box by a pixel.
  const isWide = box => box.scrollWidth > box.clientWidth + 2
  const fits = box => box.scrollHeight <= box.clientHeight + 1 && !isWide(box)

  const widthOf = box => Math.max(0, ...[...box.querySelectorAll("mjx-math")].map(one => one.getBoundingClientRect().width))
  // A line of a derivation leaves room for the name before it and the reason behind it.
  const roomOf = formula => {
    const lines = formula.closest(".derivation")
    if (!lines) return formula.clientWidth
    const names = Math.max(...[...lines.querySelectorAll(".name")].map(widthOf))
    return lines.clientWidth - names - (lines.classList.contains("wide") ? 20 : 290)
  }

  await MathJax.startup.promise
  // The letters of formulas must be here before anything is measured; nothing asks for those of slides that are not shown.
  await Promise.allSettled([...document.fonts].map(font => font.load()))
  for (const slide of document.querySelectorAll(".slides > section")) {
    slide.style.display = "block"
    for (const title of slide.querySelectorAll("h2"))
      for (let size = 38; size > 22 && title.scrollWidth > title.clientWidth; size -= 2) title.style.fontSize = `${size - 2}px`
    const content = slide.querySelector(".content")
    const formulas = [...slide.querySelectorAll(".formula")]
    for (const size of sizes) {
      content.style.fontSize = `${size}em`
      for (const formula of formulas) {
        formula.style.fontSize = ""
        const wide = widthOf(formula) / roomOf(formula)
        if (wide > 1) formula.style.fontSize = `${0.99 / wide}em`
      }
      if ([content, ...content.querySelectorAll("figcaption")].every(fits)) break
    }
    slide.style.display = ""
  }
  await Reveal.initialize({
    width: 1280, height: 720, margin: 0, minScale: 0.1, maxScale: 4, center: false, hash: true,
    slideNumber: "c/t", transition: "none", backgroundTransition: "none", plugins: [RevealNotes],
  })
  document.documentElement.dataset.ready = "yes"
})()
