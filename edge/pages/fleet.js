/** The fleet, asked for every two seconds as long as the page is looked at. */

import { byId, setText } from "./elements.js";
import { FleetMap } from "./fleet_map.js";
import { asRoundTrip, showTables, typicalRoundTrip } from "./fleet_tables.js";
import { showExplanation } from "./fleet_where.js";

const PAUSE = 2000;
const PATIENCE = 5000;

const map = new FleetMap(byId("map"));
const status = byId("fleet-status");
const keyForm = byId("key-form");
let key = "";
let timer = 0;

/** The server wants a key, or another one. */
class KeyWanted extends Error {}

async function ask(address) {
  const headers = key ? { Authorization: `Bearer ${key}` } : {};
  const response = await fetch(address, { headers, cache: "no-store", signal: AbortSignal.timeout(PATIENCE) });
  if (response.status === 401 || response.status === 403) throw new KeyWanted();
  const content = await response.json();
  if (!response.ok) throw new Error(content.error?.message ?? `HTTP ${response.status}`);
  return content;
}

async function refresh() {
  clearTimeout(timer);
  try {
    show(await ask("fleet/state"));
  } catch (error) {
    if (error instanceof KeyWanted) {
      keyForm.hidden = false;
      say(key ? "The server does not know this key." : "The server wants an API key to show its fleet.", true);
      return; // until there is another one
    }
    say("The server gives no answer. What is shown is the last that it said.", true);
  }
  timer = setTimeout(refresh, PAUSE);
}

function show(state) {
  keyForm.hidden = true;
  map.show(state);
  showTables(state);
  showTotals(state);
  const silent = state.transceivers.filter((each) => !each.ready).length;
  say(silent ? `${silent} of ${state.transceivers.length} transceivers take no calls.` : "All transceivers take calls.", silent > 0);
}

function showTotals({ transceivers, ingresses, callers }) {
  const calls = sum(transceivers, (each) => each.calls);
  const room = sum(transceivers.filter((each) => each.ready), (each) => each.max_calls);
  const totals = {
    calls: calls.toLocaleString("en"),
    load: room ? `${Math.round((100 * calls) / room)} %` : "–",
    transceivers: `${transceivers.filter((each) => each.ready).length} of ${transceivers.length}`,
    ingresses: `${ingresses.filter((each) => each.healthy && !each.draining).length} of ${ingresses.length}`,
    roundTrip: asRoundTrip(typicalRoundTrip(callers)),
  };
  for (const place of document.querySelectorAll("[data-total]")) setText(place, totals[place.dataset.total]);
}

const sum = (items, value) => items.reduce((total, item) => total + value(item), 0);

function say(words, isProblem) {
  setText(status, words);
  status.toggleAttribute("data-problem", isProblem);
}

keyForm.addEventListener("submit", (event) => {
  event.preventDefault();
  key = byId("key").value.trim();
  refresh();
});

byId("where-form").addEventListener("submit", async (event) => {
  event.preventDefault();
  const place = byId("explanation");
  try {
    showExplanation(place, await ask(`fleet/where?ip=${encodeURIComponent(byId("where").value.trim())}`));
  } catch (error) {
    const words = error instanceof KeyWanted ? "The server wants an API key." : error.message;
    place.replaceChildren(Object.assign(document.createElement("p"), { textContent: words }));
  }
});

document.addEventListener("visibilitychange", () => (document.hidden ? clearTimeout(timer) : refresh()));
refresh();
