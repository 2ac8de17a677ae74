"""Random checks, answers, thefts and repetitions: only what was proven is sent to or selected, and all is bounded."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from stun.events import PathAppeared, PathExpired, PathSelected, PathValidated
from stun.message import Message, MessageClass
from wire.core import Path

paths = st.builds(lambda number, via: Path((f"203.0.113.{number}", 40000), via), st.integers(0, 5), st.integers(1, 3))


class PathMachine(RuleBasedStateMachine):
    scene_type = None

    @initialize()
    def begin(self):
        self.scene = self.scene_type()
        self.now = 0.0
        self.known: dict[Path, float] = {}  # when it appeared
        self.flights: list[float] = []  # when a path appeared, each worth a DTLS flight
        self.proven: set[Path] = set()
        self.asked: dict[Path, bytes] = {}
        self.overheard: tuple[bytes, Path] | None = None

    def saw(self, events, incoming: Path | None):
        """Check the rules after anything that happened; `incoming` is where a datagram came from, if one did."""
        for event in events:
            if isinstance(event, PathAppeared):
                assert event.path not in self.known
                self.known[event.path] = self.now
                self.flights.append(self.now)
            elif isinstance(event, PathValidated):
                self.proven.add(event.path)
                self.flights.remove(self.known[event.path])
            elif isinstance(event, PathExpired):
                del self.known[event.path]
                self.proven.discard(event.path)
            elif isinstance(event, PathSelected):
                assert event.path in self.proven
        lite, sent = self.scene.lite, self.scene.sent
        assert len(sent) <= (2 if incoming else 8)
        for data, destination in sent:
            if Message.parse(data).message_class is MessageClass.REQUEST:
                self.asked[destination] = data
            # To who is not proven goes nothing but in exchange for a datagram.
            assert destination == incoming or destination in self.proven
        assert lite.selected is None or lite.selected in self.proven
        assert all(lite.is_validated(path) == (path in self.proven) for path in self.known)
        assert len(self.known) <= 8
        assert sum(at > self.now - 10 for at in self.flights) <= 8
        proven_addresses = {path.address for path in self.proven}
        waiting = {path.address for path, at in self.known.items() if at > self.now - 10} - proven_addresses
        assert len(waiting) <= 3

    @rule(path=paths, nominate=st.booleans())
    def check(self, path, nominate):
        check = self.scene.client.check(nominate=nominate)
        self.saw(self.scene.receive(check, path, self.now), path)
        self.overheard = (check, path)

    @precondition(lambda self: self.overheard)
    @rule(path=paths)
    def repeat(self, path):
        check, first = self.overheard
        selected = self.scene.lite.selected
        events = self.scene.receive(check, path, self.now)
        self.saw(events, path)
        assert self.scene.lite.selected == selected
        # It counts only from where it came first; or as a sign of life over a proven path, if it first did not.
        is_sign_of_life = path in self.proven and first not in self.proven
        if path != first and not is_sign_of_life:
            assert not events
            assert not self.scene.sent
        if is_sign_of_life:
            self.overheard = (check, path)

    @precondition(lambda self: self.asked)
    @rule(data=st.data())
    def answer(self, data):
        path = data.draw(st.sampled_from(sorted(self.asked)))
        self.saw(self.scene.receive(self.scene.client.answer(self.asked.pop(path), path), path, self.now), path)

    @precondition(lambda self: self.asked)
    @rule(data=st.data(), thief=paths)
    def steal(self, data, thief):
        path = data.draw(st.sampled_from(sorted(self.asked)))
        if thief != path:
            assert self.scene.receive(self.scene.client.answer(self.asked[path], path), thief, self.now) == []
            self.saw([], thief)

    @rule(path=paths)
    def traffic(self, path):
        events = list(self.scene.lite.authentic_traffic(path, self.now))
        self.scene.collect(self.now)
        self.saw(events, path)

    @rule(pause=st.floats(0.0, 12.0))
    def wait(self, pause):
        self.now += pause
        events = list(self.scene.lite.handle_timeout(self.now))
        self.scene.collect(self.now)
        self.saw(events, None)


def test_the_rules_hold_whatever_happens(make_scene):
    PathMachine.scene_type = make_scene
    run_state_machine_as_test(PathMachine, settings=settings(max_examples=40, stateful_step_count=40))
