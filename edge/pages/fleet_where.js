/** Why a caller at an address would be placed where: what `trio-voice where` prints, as a list. */

import { make } from "./elements.js";

export function showExplanation(place, explanation) {
  const { location, country, residency } = explanation;
  const where = location ? `${location.latitude}, ${location.longitude}, by: ${location.why}` : "nobody knows where";
  const rule = residency ? ` Residency: ${residency.why}.` : "";
  place.replaceChildren(
    make("p", "", `${explanation.address} is at ${where}${country ? ` (${country})` : ""}.${rule}`),
    ...candidates("Transceivers", explanation.transceivers),
    ...candidates("Relay addresses", [...explanation.ingresses, ...explanation.tcp_ingresses]),
  );
}

function candidates(title, items) {
  if (!items.length) return [];
  return [make("h3", "", title), make("ol", "", ...items.map(candidate))];
}

function candidate(each) {
  const item = make("li", "", make("span", "", each.rank === null ? "–" : `${each.rank}.`), make("span", "score", `${each.score_ms} ms`), make("span", "why", each.why));
  item.toggleAttribute("data-left-out", each.rank === null);
  return item;
}
