"""The pages a browser opens. The first: press Talk, and speak with the agent behind the transceiver.

Nothing here runs on the server; these files are sent as they are, and nothing is built from them. In the order to read
them in:

* `index.html`            what is on the page, with every place that a script fills in
* `style.css`             how it looks: light and dark, wide and phone, with and without motion
* `icon.svg`              three bars, for the tab
* `app.js`                one call at a time, and who hears of it; imports all the others
* `words.js`              everything the page says about a call
* `call.js`               the microphone, the offer and answer, and what becomes of them
* `statistics.js`         what matters of the browser's statistics
* `event_channel.js`      the data channel `oai-events`: one JSON object a message
* `realtime_session.js`   what the page sends over it, and when
* `tools.js`              the tools that the page offers to the agent, and answers
* `conversation.js`       turns, answers, interruptions and tool calls, as events tell of them
* `response_times.js`     how long a caller waits for an answer, measured in two ways
* `sound.js`              how loud both directions are
* `picture.js`            the time line: sound, turns, response times
* `status_view.js`, `conversation_view.js`, `event_log.js`, `connection_view.js`, `elements.js`   what is shown in words

The map of the fleet, for operators:

* `fleet.html`, `fleet.css`   what is on it and how it looks, on the same paper
* `fleet.js`              asks the server, and tells the others
* `fleet_map.js`          regions, relays and calls on the earth
* `world.js`              its outlines
* `fleet_tables.js`       the same in words
* `fleet_where.js`        why a caller would be placed where

They refer to each other by relative addresses, and hold under `Content-Security-Policy: default-src 'self'`: no script
or style is inline, and nothing comes from elsewhere. No string of a peer's is ever read as HTML.
"""
