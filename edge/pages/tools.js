/** The tools that this page offers to the agent, and answers itself. An example: it has one. */

/** @type {Map<string, {definition: object, answer: (given: object) => object}>} by name */
const TOOLS = new Map(
  [
    {
      definition: {
        type: "function",
        name: "get_time",
        description: "The time of day where the caller is, or in another time zone.",
        parameters: {
          type: "object",
          properties: { time_zone: { type: "string", description: "A name such as Europe/Berlin. Without one: the caller's own." } },
        },
      },
      answer: ({ time_zone: timeZone }) => {
        const format = new Intl.DateTimeFormat("en-GB", { timeZone, dateStyle: "full", timeStyle: "long" });
        return { time: format.format(), time_zone: format.resolvedOptions().timeZone };
      },
    },
  ].map((tool) => [tool.definition.name, tool]),
);

/** As `session.update` wants them. */
export const TOOL_DEFINITIONS = Array.from(TOOLS.values(), (tool) => tool.definition);

/**
 * Answer a call.
 * @param {string} name
 * @param {string} given the arguments as the agent wrote them, which need not be JSON
 * @returns {?string} JSON of what came of it; null when this page has no such tool: somebody else may have
 */
export function answerTool(name, given) {
  const tool = TOOLS.get(name);
  if (!tool) return null;
  try {
    return JSON.stringify(tool.answer(JSON.parse(given || "{}") ?? {}));
  } catch (problem) {
    return JSON.stringify({ error: problem.message });
  }
}
