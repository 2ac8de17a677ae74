// What an application does with a call that call.js has placed: it says texts, numbers above all, and keeps what it is
// told, on window.talk. Times are those of performance.now(). What waits for the other side says whether it came.
// Nothing here looks at how the call is.
async () => {
  const { channel } = window.call;
  const talk = window.talk = { said: [], told: [] };
  channel.onmessage = ({ data }) => {
    const event = JSON.parse(data);
    talk.told.push([performance.now(), event.type, event.event_id, event.delta ?? ""]);
  };
  const send = (event) => channel.send(JSON.stringify(event));
  const until = async (what, found, ms = 10000) => {
    const deadline = performance.now() + ms;
    while (!found()) {
      if (performance.now() > deadline) {
        console.error(`no ${what}: ${talk.told.slice(-40).map(([, type]) => type)}`);
        return false;
      }
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    return true;
  };
  await until("open channel", () => channel.readyState === "open");
  send({ type: "session.update", session: { type: "realtime", instructions: "Count." } });
  talk.say = (text) => send({
    type: "conversation.item.create",
    item: { type: "message", role: "user", content: [{ type: "input_text", text }] },
  });
  talk.count = (ms) => {
    talk.timer = setInterval(() => {
      talk.say(String(talk.said.length));
      talk.said.push(performance.now());
    }, ms);
  };
  talk.stop = () => clearInterval(talk.timer);
  const heard = (from, what) => () => talk.told.slice(from).some(([, type]) => type === `output_audio_buffer.${what}`);
  talk.speak = async () => {
    const from = talk.told.length;
    talk.say("speak");
    return await until("speech", heard(from, "started"));
  };
  talk.hush = async () => {
    const from = talk.told.length;
    talk.say("hush");
    return await until("end of speech", heard(from, "stopped"));
  };
  talk.ask = async (question) => {
    const from = talk.told.length;
    talk.say(`ask ${question}`);
    send({ type: "response.create" });
    const answer = () => talk.told.slice(from).some(([, , , delta]) => delta === `answer ${question}`);
    return await until("answer", answer) && await until("end of the answer", heard(from, "stopped"));
  };
  return await until("session.updated", () => talk.told.some(([, type]) => type === "session.updated"));
}
