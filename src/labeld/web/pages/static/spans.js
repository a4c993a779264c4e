// Draws parts of a text in colours: numbered, by label and score, with a legend and a table that says the same.
import { at, made, show } from "./widget.js";

const MOST = 200; // parts that are drawn; all of them are in the JSON output
const HUES = 6; // of the style sheet; more labels share them

export const hideSpans = () => show("spans", false);

/** Draws parts of a text, each `{from, end, label, score}` in characters, in the order of the text. */
export const drawSpans = (text, all, note) => {
  // NOTE: the server counts code points, and a string of JavaScript UTF-16 units: an emoji is one of those, two of these
  const characters = Array.from(text);
  const spans = all.slice(0, MOST);
  const labels = [...new Set(spans.map(({ label }) => label))];
  const hue = ({ label }) => labels.indexOf(label) % HUES;
  const largest = Math.max(1, ...spans.map(({ score }) => Math.abs(score)));
  const ends = new Set([0, characters.length, ...spans.flatMap(({ from, end }) => [from, end])]);
  const cuts = [...ends].sort((a, b) => a - b);

  /** The text between two cuts, in the colour of the best part that it belongs to, striped where it belongs to others. */
  const piece = (from, end) => {
    const words = characters.slice(from, end).join("");
    const [best, ...others] = spans.filter((one) => one.from <= from && end <= one.end).sort((a, b) => b.score - a.score);
    if (!best) return document.createTextNode(words);
    const mark = made("mark", `hue-${hue(best)}${others.length ? ` shared-${hue(others[0])}` : ""}`, words);
    mark.style.setProperty("--share", 0.12 + 0.43 * Math.max(0, Math.min(1, best.score / largest)));
    mark.title = [best, ...others].map((one) => `${spans.indexOf(one) + 1}: ${one.label} ${one.score.toFixed(3)}`).join(", ");
    return mark;
  };

  const numbers = (from) =>
    spans.flatMap((one, index) => {
      if (one.from !== from) return [];
      const number = made("span", "number");
      number.id = `span-${index + 1}`;
      number.dataset.number = index + 1;
      return [number];
    });

  const line = ({ from, end, label, score }, index) => {
    const link = made("a", "", index + 1);
    link.href = `#span-${index + 1}`;
    const cells = [made("th", ""), made("td", "", `${from} to ${end}`), made("td", ""), made("td", "number", score.toFixed(3))];
    cells[0].scope = "row";
    cells[0].append(link);
    cells[2].append(made("mark", `hue-${hue({ label })} name`, label));
    const shown = document.createElement("tr");
    shown.append(...cells);
    return shown;
  };

  const entry = (label) => {
    const count = spans.filter((one) => one.label === label).length;
    const item = document.createElement("li");
    item.append(made("mark", `hue-${hue({ label })} name`, label), ` ${count}`);
    return item;
  };

  const rest = all.length > MOST ? ` The first ${MOST} are drawn here; all ${all.length} are in the JSON output.` : "";
  const overlap = cuts.some((from) => spans.filter((one) => one.from <= from && from < one.end).length > 1);
  at("spans-note").textContent = `${note}${overlap ? " What several share is striped, in the colour of the highest score." : ""}${rest}`;
  at("legend").replaceChildren(...labels.map(entry));
  at("coloured").replaceChildren(...cuts.slice(0, -1).flatMap((from, index) => [...numbers(from), piece(from, cuts[index + 1])]));
  at("span-rows").replaceChildren(...spans.map(line));
  show("spans", true);
};
