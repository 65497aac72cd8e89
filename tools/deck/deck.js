// Sets the formulas, makes the letters of each slide as small as it needs, and starts the slides.
(async () => {
  const sizes = [1, 0.94, 0.88, 0.82, 0.77, 0.72, 0.67, 0.62, 0.58]
  const fits = box => box.scrollHeight <= box.clientHeight && box.scrollWidth <= box.clientWidth

  await MathJax.startup.promise
  await document.fonts.ready
  for (const slide of document.querySelectorAll(".slides > section")) {
    slide.style.display = "block"
    for (const title of slide.querySelectorAll("h2"))
      for (let size = 38; size > 22 && title.scrollWidth > title.clientWidth; size -= 2) title.style.fontSize = `${size - 2}px`
    const content = slide.querySelector(".content")
    const formulas = [...slide.querySelectorAll(".formula")]
    for (const size of sizes) {
      content.style.fontSize = `${size}em`
      for (const formula of formulas) {
        let own = 1
        formula.style.fontSize = ""
        while (own > 0.5 && formula.scrollWidth > formula.clientWidth) formula.style.fontSize = `${(own -= 0.03)}em`
      }
      if (fits(content) && formulas.every(one => one.scrollWidth <= one.clientWidth)) break
    }
    slide.style.display = ""
  }
  await Reveal.initialize({
    width: 1280, height: 720, margin: 0, minScale: 0.1, maxScale: 4, center: false, hash: true,
    slideNumber: "c/t", transition: "none", backgroundTransition: "none", plugins: [RevealNotes],
  })
  document.documentElement.dataset.ready = "yes"
})()
