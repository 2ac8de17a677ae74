/** The map: land, regions with how full they are, their relays, and lines from where calls came from. */

import { LAND } from "./world.js";

const SCALE = 2; // units of the picture in a degree
const WEST = -180;
const NORTH = 78;
const RADIUS = 6;
const RING = 2 * Math.PI * RADIUS;

const x = (longitude) => (longitude - WEST) * SCALE;
const y = (latitude) => (NORTH - Math.max(-57, Math.min(NORTH, latitude))) * SCALE;

/** How a round trip looks. */
export const toneOf = (ms) => (ms === null ? "unmeasured" : ms <= 60 ? "near" : ms <= 150 ? "middling" : "far");

export class FleetMap {
  #ways = draw("g", {});
  #callers = draw("g", {});
  #regions = draw("g", {});

  constructor(svg) {
    const grid = draw("path", { class: "grid", d: graticule() });
    const land = LAND.map((outline) => draw("polygon", { class: "land", points: outline.split(" ").map(project).join(" ") }));
    svg.replaceChildren(grid, ...land, this.#ways, this.#callers, this.#regions);
  }

  show({ regions, ingresses, callers }) {
    const places = new Map(regions.filter(isPlaced).map((each) => [each.name, each]));
    const known = callers.filter(isPlaced);
    this.#ways.replaceChildren(...known.filter((each) => places.has(each.region)).map((each) => way(each, places.get(each.region))));
    this.#callers.replaceChildren(...known.map(dot));
    const all = [...places.values()];
    this.#regions.replaceChildren(...all.map((each) => region(each, all, ingresses.filter((ingress) => ingress.region === each.name))));
  }
}

const isPlaced = (each) => each.latitude !== null && each.longitude !== null;

function way(caller, to) {
  const [fromX, fromY, toX, toY] = [x(caller.longitude), y(caller.latitude), x(to.longitude), y(to.latitude)];
  const lift = Math.min(40, Math.hypot(toX - fromX, toY - fromY) / 5);
  const path = `M${fromX} ${fromY}Q${(fromX + toX) / 2} ${(fromY + toY) / 2 - lift} ${toX} ${toY}`;
  return draw("path", { class: "way", "data-tone": toneOf(caller.round_trip_ms), d: path });
}

function dot(caller) {
  const size = Math.min(3.5, 1 + Math.sqrt(caller.calls) / 3);
  return draw("circle", { class: "caller", "data-tone": toneOf(caller.round_trip_ms), cx: x(caller.longitude), cy: y(caller.latitude), r: size });
}

/** A name stands at the right of its region, unless another region or the edge of the map is there. */
function hasRoomAtRight(each, all) {
  const isNext = (other) => other.longitude > each.longitude && other.longitude - each.longitude < 32 && Math.abs(other.latitude - each.latitude) < 10;
  return each.longitude < 150 && !all.some(isNext);
}

function region(each, all, ingresses) {
  const load = each.max_calls ? Math.min(1, each.calls / each.max_calls) : 0;
  const tone = each.ready === 0 ? "bad" : each.draining ? "draining" : each.health ? "ailing" : "good";
  const atRight = hasRoomAtRight(each, all);
  const labelled = { x: atRight ? RADIUS + 4 : -RADIUS - 4, "text-anchor": atRight ? "start" : "end" };
  const group = draw("g", { class: "region", "data-tone": tone, "data-region": each.name, transform: `translate(${x(each.longitude)} ${y(each.latitude)})` });
  group.append(
    draw("title", {}, `${each.name}: ${each.calls} calls of ${each.max_calls}, ${each.ready} of ${each.transceivers} transceivers ready${each.health ? `, ${each.health}` : ""}`),
    draw("circle", { class: "region-back", r: RADIUS }),
    draw("circle", { class: "region-load", r: RADIUS, "stroke-dasharray": `${load * RING} ${RING}`, transform: "rotate(-90)" }),
    draw("circle", { class: "region-dot", r: 2.2 }),
    draw("text", { ...labelled, y: 0 }, each.name),
    draw("text", { ...labelled, y: 9, class: "count" }, each.ready ? `${each.calls} calls` : "takes no calls"),
    ...ingresses.slice(0, 8).map(relay),
  );
  return group;
}

function relay(ingress, position, all) {
  const tone = ingress.healthy ? (ingress.draining ? "draining" : ingress.health ? "ailing" : "good") : "bad";
  const left = (position - (Math.min(8, all.length) - 1) / 2) * 4.6 - 1.6;
  return draw("rect", { class: "relay", "data-tone": tone, x: left, y: RADIUS + 4, width: 3.2, height: 3.2 });
}

const project = (point) => {
  const [longitude, latitude] = point.split(",").map(Number);
  return `${x(longitude)},${y(latitude)}`;
};

function graticule() {
  const meridians = [-150, -120, -90, -60, -30, 0, 30, 60, 90, 120, 150].map((each) => `M${x(each)} ${y(78)}V${y(-57)}`);
  const parallels = [60, 30, 0, -30].map((each) => `M${x(-180)} ${y(each)}H${x(180)}`);
  return [...meridians, ...parallels].join("");
}

function draw(tag, attributes, text) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  if (text !== undefined) element.textContent = text;
  return element;
}
