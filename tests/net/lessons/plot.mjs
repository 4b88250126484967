// A plot of a link over time: what it carried, what was sent, what was believed. Plain SVG.

const [WIDTH, HEIGHT, MARGIN] = [760, 300, 48];
/** Categorical colours that stay apart for the colour-blind. */
const COLOURS = ["#444444", "#0072b2", "#d55e00"];

/** `series`: `{name, points: [[seconds, bits per second]]}`; the first one is drawn in steps. */
export function plot(title, series) {
  const all = series.flatMap(({ points }) => points);
  const seconds = Math.max(1, ...all.map(([x]) => x));
  const top = Math.max(1e5, ...all.map(([, y]) => y)) * 1.1;
  const x = (value) => MARGIN + (value / seconds) * (WIDTH - MARGIN - 12);
  const y = (value) => HEIGHT - MARGIN - (value / top) * (HEIGHT - MARGIN - 34);
  const text = (at, up, anchor, words, colour = "#222") =>
    `<text x="${at.toFixed(1)}" y="${up.toFixed(1)}" text-anchor="${anchor}" fill="${colour}">${words}</text>`;
  const path = ({ points }, index) => {
    const corners = points.map(([at, value], which) => {
      const step = index === 0 && which > 0 ? `L${x(at).toFixed(1)} ${y(points[which - 1][1]).toFixed(1)} ` : "";
      return `${step}${which === 0 ? "M" : "L"}${x(at).toFixed(1)} ${y(value).toFixed(1)}`;
    });
    return `<path d="${corners.join(" ")}" fill="none" stroke="${COLOURS[index]}" stroke-width="1.6"/>`;
  };
  const ticks = [0, 0.25, 0.5, 0.75, 1].map((share) => [
    `<path d="M${MARGIN} ${y(top * share)}H${WIDTH - 12}" stroke="#ddd"/>`,
    text(MARGIN - 6, y(top * share) + 4, "end", ((top * share) / 1e6).toFixed(2)),
    text(x(seconds * share), HEIGHT - MARGIN + 18, "middle", (seconds * share).toFixed(0)),
  ]);
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" font-family="sans-serif" font-size="12" role="img">`,
    `<title>${title}</title><rect width="100%" height="100%" fill="#fff"/>`,
    ...ticks.flat(),
    text(MARGIN, 20, "start", `${title} (Mbit/s over seconds)`),
    ...series.map(({ name }, index) => text(WIDTH - 12 - (series.length - 1 - index) * 110, 20, "end", name, COLOURS[index])),
    ...series.map(path),
    "</svg>\n",
  ].join("\n");
}
