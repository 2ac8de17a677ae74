"""A Python function as the agent of a call, and what makes it a server of the Realtime protocol.

To write an agent, `contract` is all there is to read. To see how it is served, read on:

* `contract`      what an agent is given: the conversation, what happens in it, and replies
* `parrot`        a small agent, written with the contract only
* `pcm_echo`      a smaller one, which listens frame by frame
* `tones`         a sound for agents that have no voice
* `loading`       finding an agent by its name, "module:function"
* `options`       what an agent's server is willing to hold, with reasons
* `turns`         when somebody begins and ends to speak, from the energy of the signal
* `input_audio`   what was heard and not yet committed to the conversation
* `outlet`        the way out for events and speech, and the names of things
* `requests`      reading what a client sent, and saying what is wrong with it
* `session`       the effective session configuration
* `history`       the items of the conversation
* `response`      one answer, with its events in the protocol's order
* `answers`       asking the agent for responses, one at a time, and cutting them off
* `dialogue`      the rules between all of these; no task, no clock
* `client_events` each event of a client's becomes a call of the dialogue
* `conversation`  the contract on top of the dialogue: waiting, replying, being interrupted
* `server`        an agent and its dialogue run together
"""
