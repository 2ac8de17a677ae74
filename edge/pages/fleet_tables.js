/** The same as the map in words and numbers. */

import { byId, make } from "./elements.js";

/** The median of what calls have measured; null when none has. */
export function typicalRoundTrip(callers) {
  const measured = callers.map((each) => each.round_trip_ms).filter((each) => each !== null).sort((one, other) => one - other);
  return measured.length ? measured[Math.floor(measured.length / 2)] : null;
}

export const asRoundTrip = (ms) => (ms === null ? "–" : `${Math.round(ms)} ms`);

export function showTables(state) {
  fill("regions", state.regions.map((each) => regionRow(each, state)), "No region is configured: signal.regions is empty.", 7);
  fill("transceivers", state.transceivers.map(transceiverRow), "No transceiver is known.", 4);
  fill("ingresses", state.ingresses.map(ingressRow), "No relay address is known.", 4);
}

function fill(place, rows, whenEmpty, columns) {
  if (!rows.length) {
    const cell = make("td", "empty", whenEmpty);
    cell.colSpan = columns;
    rows = [make("tr", "", cell)];
  }
  byId(place).replaceChildren(...rows);
}

function regionRow(region, { ingresses, callers }) {
  const own = ingresses.filter((each) => each.region === region.name);
  const name = region.draining ? cell(`${region.name} (draining)`, "draining") : cell(region.name);
  const ready = cell(`${region.ready} of ${region.transceivers} ready`, region.ready ? "" : "bad");
  return row(
    name,
    cell(`${region.calls} of ${region.max_calls}`),
    shareCell(region.max_calls ? region.calls / region.max_calls : 0),
    ready,
    cell(String(own.length)),
    cell(asRoundTrip(typicalRoundTrip(callers.filter((each) => each.region === region.name)))),
    healthCell(region),
  );
}

function transceiverRow(each) {
  const back = each.back_seconds !== null && each.back_seconds < 60 ? `ready, back for ${each.back_seconds} s` : "ready";
  const state = each.ready ? stateCell(back, each) : cell(each.reason ?? "takes no calls", "bad");
  return row(cell(each.name), cell(each.region ?? "–"), cell(`${each.calls} of ${each.max_calls}`), state);
}

function ingressRow(each) {
  const state = each.healthy ? (each.draining ? cell("draining", "draining") : stateCell("in answers", each)) : cell(each.reason ?? "not healthy", "bad");
  return row(cell(String(each.id)), cell(`${each.address} ${each.protocol}`), cell(each.region ?? "–"), state);
}

/** What calls have shown of a region, and what that costs it when calls are placed. */
function healthCell({ health, health_ms }) {
  return health ? cell(`${health} (+${Math.round(health_ms)} ms)`, "draining") : cell("–");
}

/** The state of a member that works, with what relays have measured of it. */
function stateCell(words, { health, health_ms }) {
  return health ? cell(`${words}; ${health} (+${Math.round(health_ms)} ms)`, "draining") : cell(words);
}

const row = (...cells) => make("tr", "", ...cells);

function cell(text, state) {
  const element = make("td", "", text);
  if (state) element.dataset.state = state;
  return element;
}

function shareCell(share) {
  const bar = make("i", "");
  bar.style.transform = `scaleX(${Math.min(1, share)})`;
  return make("td", "", make("span", "share", bar), `${Math.round(share * 100)} %`);
}
