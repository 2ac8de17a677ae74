"""Time goes on, whatever comes: pauses, muted callers, stalls, drift, clocks that jump and codecs that change."""

import array
import random

import attrs
import pytest

from transceiver.audio.decoders import G711Decoder
from transceiver.audio.g711 import PCMA, PCMU
from transceiver.audio.listening_options import LISTENING, ListeningOptions, Preference

RATE = 16000
FRAME = RATE // 50
BALANCED = LISTENING[Preference.BALANCED]


def silent(samples) -> bool:
    return max(samples, default=0) < 200 and min(samples, default=0) > -200


def shifted(packets, *, at=0.0, timestamp=0, sequence=0):
    return [
        attrs.evolve(
            packet,
            at=packet.at + at,
            timestamp=(packet.timestamp + timestamp) & 0xFFFF_FFFF,
            sequence=(packet.sequence + sequence) & 0xFFFF,
        )
        for packet in packets
    ]


@pytest.fixture(scope="module")
def voice(caller, tone):
    """Two seconds of a tone: no quiet frame in it."""
    return caller.frames(tone(2.0, RATE), RATE)


def behind(heard, now) -> float:
    """By how many seconds what was handed on by then lags behind the clock."""
    samples = max((total for at, total in heard.deliveries if at <= now + 1e-9), default=0)
    return now - 1000.0 - samples / RATE


# -- pauses


def test_a_muted_caller_is_silent_in_real_time(caller, network, listen, voice):
    """Nothing is sent for 3 s; the timestamps go on."""
    before = caller.packets(voice)
    after = shifted(caller.packets(voice), at=5.0, timestamp=5 * 48000, sequence=len(voice))
    heard = listen(network.carry(before + after), rate=RATE)
    assert len(heard.samples) == 7 * RATE
    assert heard.facts["silence_ms"] == 3000
    assert heard.facts["concealed_ms"] == 0
    assert silent(heard.samples[int(2.2 * RATE) : 5 * RATE])
    assert not silent(heard.samples[5 * RATE : int(5.1 * RATE)])
    # While it lasted, silence was handed on as time passed: behind by what a packet may still take, and no more.
    hold = BALANCED.patience + 0.040
    for now in (1002.5, 1003.5, 1004.9):
        assert 0 < behind(heard, now) <= hold + 0.021
    # A frame at a time.
    steps = [
        b - a for (at, a), (_, b) in zip(heard.deliveries, heard.deliveries[1:], strict=False) if 1002.3 < at < 1004.9
    ]
    assert set(steps) == {FRAME}


def test_what_is_said_at_the_end_is_followed_by_silence(caller, network, listen, voice):
    """A caller who stops sending for good: the backend's clock goes on."""
    heard = listen(network.carry(caller.packets(voice)), rate=RATE, until=1030.0)
    assert len(heard.samples) / RATE == pytest.approx(30.0, abs=0.25)
    assert silent(heard.samples[int(2.2 * RATE) :])


@pytest.mark.parametrize("preference", list(Preference))
def test_how_soon_silence_is_handed_on_is_a_choice(caller, network, listen, voice, preference):
    options = LISTENING[preference]
    heard = listen(network.carry(caller.packets(voice)), rate=RATE, until=1004.0, options=options)
    first = next(at for at, total in heard.deliveries if total > 2 * RATE)
    assert options.patience < first - 1002.0 <= options.patience + 0.081


@pytest.mark.parametrize("ppm", [-100, 100])
def test_a_long_mute_ends_where_the_clocks_differ(caller, network, listen, voice, ppm):
    """The clocks differ by 90 ms after a quarter of an hour; nothing is doubled, and nothing piles up."""
    before = caller.packets(voice)
    after = shifted(
        caller.packets(voice), at=902.0, timestamp=round(902 * 48000 * (1 + ppm * 1e-6)), sequence=len(voice)
    )
    heard = listen(network.carry(before + after), rate=RATE)
    expected = 904 + 902 * ppm * 1e-6
    assert len(heard.samples) / RATE == pytest.approx(expected, abs=0.25)
    assert heard.facts["clock_jumps"] == 0


def dtx(packets):
    """What a sender leaves out that has nothing to say: all but one packet in 400 ms."""
    sent, quiet = [], 0
    for packet in packets:
        quiet = quiet + 1 if len(packet.payload) <= 2 else 0
        if quiet % 20 <= 1:
            sent.append(attrs.evolve(packet, sequence=(65500 + len(sent)) & 0xFFFF))
    return sent


@pytest.fixture(scope="module")
def sparse(caller, tone):
    """A second of a tone, three of nothing, a second of a tone, by an encoder that saves bandwidth."""
    pcm = tone(1.0, RATE) + bytes(3 * 2 * RATE) + tone(1.0, RATE)
    return dtx(caller.packets(caller.frames(pcm, RATE, dtx=True)))


def test_a_pause_that_the_codec_makes_is_filled(caller, network, listen, sparse):
    assert len(sparse) < 140
    assert any(len(packet.payload) <= 2 for packet in sparse)
    heard = listen(network.carry(sparse), rate=RATE)
    assert len(heard.samples) == 5 * RATE
    assert heard.facts["lost"] == 0
    assert heard.facts["concealed_ms"] == 0
    assert silent(heard.samples[int(1.3 * RATE) : int(3.95 * RATE)])
    assert not silent(heard.samples[int(4.02 * RATE) : int(4.1 * RATE)])
    # Who announces a pause is not waited for: silence flows at once.
    for now in (1002.5, 1003.0, 1003.5):
        assert behind(heard, now) <= 0.061


def test_a_pause_that_the_codec_makes_is_not_dead(caller, network, listen, measure):
    """A room's noise goes on between the packets that renew it."""
    chance = random.Random(3)
    noise = array.array("h", [int(chance.gauss(0, 60)) for _ in range(RATE * 3)]).tobytes()
    sent = dtx(caller.packets(caller.frames(noise, RATE, dtx=True)))
    assert len(sent) < 100
    heard = listen(network.carry(sent), rate=RATE)
    for level in measure.levels(heard.samples[RATE:], RATE, 0.02):
        assert level > 1


def test_a_loss_in_a_pause_is_filled_as_well(caller, network, listen, sparse):
    for seed in range(8):
        heard = listen(network.carry(sparse, is_lost=network.random_loss(0.2, seed)), rate=RATE, until=1005.0)
        assert len(heard.samples) / RATE == pytest.approx(5.0, abs=0.25)
        assert silent(heard.samples[int(1.4 * RATE) : int(3.9 * RATE)])


def test_a_talkspurt_s_beginning_is_not_made_up(caller, network, listen, voice):
    """Lost packets before a marker were of the pause."""
    packets = caller.packets(voice)
    packets[50] = attrs.evolve(packets[50], marker=True)
    arrivals = network.carry(packets)
    del arrivals[47:50]
    heard = listen(arrivals, rate=RATE)
    assert heard.facts["concealed_ms"] == 0
    assert heard.facts["silence_ms"] == 60
    assert len(heard.samples) == 2 * RATE


# -- stalls


def stall(packets, begin, seconds):
    """The network holds everything back for a while, and then brings it at once."""
    return [
        attrs.evolve(packet, at=max(packet.at, begin + seconds)) if packet.at >= begin else packet for packet in packets
    ]


def words(samples) -> bytes:
    """What is loud, with the silence taken out."""
    return b"".join(
        samples[at : at + FRAME].tobytes()
        for at in range(0, len(samples), FRAME)
        if not silent(samples[at : at + FRAME])
    )


@pytest.mark.parametrize("seconds", [1.0, 6.0])
def test_a_burst_behind_a_stall_is_heard_whole(caller, network, listen, voice, seconds):
    """Seconds of packets at once: all decoded, in order, no loss."""
    packets = caller.packets(voice * 4)
    undisturbed = listen(network.carry(packets), rate=RATE)
    heard = listen(network.carry(stall(packets, 1000.4, seconds)), rate=RATE)
    assert heard.facts["lost"] == 0
    assert not heard.drops
    # What is heard behind the stall is exactly what would have been, after the silence that filled it.
    inserted = len(heard.samples) - len(undisturbed.samples)
    assert 0 < inserted / RATE < seconds - BALANCED.patience
    assert heard.facts["silence_ms"] == heard.facts["ahead_ms"] == inserted * 1000 // RATE
    tail = len(undisturbed.samples) - int(0.6 * RATE)
    assert _alike(heard.samples[-tail:], undisturbed.samples[-tail:])


def _alike(left, right) -> bool:
    error = sum((a - b) ** 2 for a, b in zip(left, right, strict=True))
    return error < 0.02 * sum(b * b for b in right)


def test_a_stall_shorter_than_our_patience_is_not_heard_at_all(caller, network, listen, voice):
    packets = caller.packets(voice)
    undisturbed = listen(network.carry(packets), rate=RATE)
    heard = listen(network.carry(stall(packets, 1000.4, BALANCED.patience)), rate=RATE)
    assert heard.pcm == undisturbed.pcm


def test_what_a_stall_added_is_taken_from_the_next_pause(caller, network, listen, tone, voice):
    """Two seconds of tone, one of silence in full packets, two of tone."""
    pcm = tone(2.0, RATE) + bytes(2 * RATE) + tone(2.0, RATE)
    packets = caller.packets(caller.frames(pcm, RATE))
    undisturbed = listen(network.carry(packets), rate=RATE)
    heard = listen(network.carry(stall(packets, 1000.4, 0.8)), rate=RATE)
    assert heard.facts["silence_ms"] > 300
    assert heard.facts["skipped_ms"] == pytest.approx(heard.facts["silence_ms"], abs=20)
    assert heard.facts["ahead_ms"] < 20
    assert abs(len(heard.samples) - 5 * RATE) <= FRAME
    # All of the tone is there.
    assert len(words(heard.samples)) >= len(words(undisturbed.samples)) - 4 * FRAME


def test_what_a_stall_added_is_taken_from_a_pause_in_the_timestamps(caller, network, listen, voice):
    packets = stall(caller.packets(voice), 1000.4, 0.8)
    packets += shifted(caller.packets(voice), at=4.0, timestamp=4 * 48000, sequence=len(voice))
    heard = listen(network.carry(packets), rate=RATE)
    assert len(heard.samples) == 6 * RATE
    assert heard.facts["ahead_ms"] == 0
    assert heard.facts["skipped_ms"] == 0


def test_recovered_audio_is_not_taken_to_make_up_for_a_stall(caller, network, listen, speech):
    frames = caller.frames(speech, RATE, fec=True, expected_loss=0.2, bitrate=32000)
    packets = stall(caller.packets(frames), 1000.4, 0.6)
    arrivals = network.carry(packets, is_lost=network.random_loss(0.1))
    heard = listen(arrivals, rate=RATE)
    assert heard.facts["recovered_fec"] >= 10
    assert heard.facts["silence_ms"] > 300
    assert len(heard.samples) == len(frames) * FRAME + heard.facts["ahead_ms"] * RATE // 1000


def test_a_path_that_has_become_longer_explains_only_so_much(caller, network, listen, voice):
    """A stall of 2 s, after which every packet takes 200 ms more, with a packet that is no audio behind each."""
    packets = stall(caller.packets(voice * 5), 1002.0, 2.0)
    packets = [attrs.evolve(packet, at=packet.at + 0.2 * (packet.at >= 1004.0)) for packet in packets]
    sent = []
    for packet in packets:
        for payload_type in (caller.OPUS, caller.OTHER):
            number = (65500 + len(sent)) & 0xFFFF
            sent.append(attrs.evolve(packet, sequence=number, payload_type=payload_type, marker=False))
    heard = listen(network.carry(sent), rate=RATE)
    assert heard.facts["silence_ms"] > 1500
    assert heard.facts["ahead_ms"] == pytest.approx(heard.facts["silence_ms"] - 200, abs=5)


def test_a_sender_whose_clock_stood_still_while_it_was_muted(caller, network, listen, voice):
    """Timestamps and numbers go on as if nothing had been; 8 s have passed."""
    packets = caller.packets(voice * 2 + caller.frames(bytes(2 * 4 * RATE), RATE))
    paused = packets[:200] + shifted(packets[200:], at=8.0)
    heard = listen(network.carry(paused, delay=network.gamma(0.004), keeps_order=True), rate=RATE)
    # The silence stands for time that has passed; nothing that was said is left out for it.
    assert len(heard.samples) / RATE == pytest.approx(8 + 8, abs=0.3)
    assert heard.facts["skipped_ms"] == 0
    assert heard.facts["ahead_ms"] == 0
    assert heard.facts["silence_ms"] == pytest.approx(8000, abs=300)


# -- clocks


@pytest.mark.parametrize("ppm", [-100, 100])
def test_an_hour_of_drift(caller, network, listen, ppm):
    """Our clock and the caller's differ; with 2 % loss, jitter, a pause each minute and a stall each five."""
    chance = random.Random(5)
    payload = PCMU.encode(bytes(1920))
    sent, now, n = [], 1000.0, 0
    frame = 0.120 * (1 - ppm * 1e-6)
    number = 0
    while n < 30_000:
        if n % 500 == 499:
            n += chance.randrange(10, 40)  # muted for a while
        sent.append(caller.Sent(now + n * frame, number & 0xFFFF, (n * 960) & 0xFFFF_FFFF, payload, caller.PCMU))
        number, n = number + 1, n + 1
    stalls = [1000.0 + minute * 60 + 20 for minute in range(0, 60, 5)]
    delay = chance.gammavariate
    arrivals = []
    for packet in sent:
        at = packet.at + delay(1.5, 0.005)
        at = next((begin + 0.5 for begin in stalls if begin <= at < begin + 0.5), at)
        if chance.random() >= 0.02 or packet is sent[0]:
            arrivals.append(caller.Arrival(at, packet))
    arrivals.sort(key=lambda arrival: arrival.at)
    heard = listen(arrivals, rate=8000)
    last = arrivals[-1].packet.timestamp + 960
    facts = heard.facts
    # To the sample, but for what a stall added and no quiet packet has taken back yet.
    assert len(heard.samples) - last == facts["ahead_ms"] * 8 == 0
    assert facts["clock_jumps"] == 0
    assert facts["delay_added_ms"] < 1
    assert facts["gap_wait_ms"] == 0
    # At any moment, what was handed on is as old as the path makes it, and drift explains the rest.
    for at, total in heard.deliveries[:: len(heard.deliveries) // 400]:
        drift = (at - 1000.0) * ppm * 1e-6
        assert -0.6 < at - 1000.0 + drift - total / 8000 < 0.35


@pytest.mark.parametrize("jump", [3 * 3600 * 48000, -3 * 3600 * 48000, 90 * 48000, -48000])
def test_timestamps_that_jump_cost_nothing(caller, network, listen, voice, jump):
    packets = caller.packets(voice * 2)
    jumped = packets[:100] + shifted(packets[100:], timestamp=jump)
    heard = listen(network.carry(jumped, delay=network.gamma(0.003), keeps_order=True), rate=RATE, until=1004.1)
    assert len(heard.samples) == 4 * RATE
    assert heard.facts["clock_jumps"] == 1
    assert heard.facts["silence_ms"] == 0
    assert heard.facts["lost"] == 0
    # And afterwards time is told by the new clock.
    heard = listen(network.carry(jumped), rate=RATE, until=1006.0)
    assert len(heard.samples) / RATE == pytest.approx(6.0, abs=0.25)


@pytest.mark.parametrize("jump", [10**9, -(10**9)])
def test_timestamps_may_jump_in_a_pause(caller, network, listen, voice, jump):
    """A sender that begins anew when it is unmuted: the pause lasted as long as it did, and owes nothing."""
    after = shifted(caller.packets(voice), at=5.0, timestamp=jump, sequence=len(voice))
    heard = listen(network.carry(caller.packets(voice) + after), rate=RATE)
    assert len(heard.samples) / RATE == pytest.approx(7.0, abs=0.25)
    assert heard.facts["ahead_ms"] == 0


def test_timestamps_that_do_not_divide_by_a_sample_add_up(caller, network, listen, voice):
    """One tick of 1/48000 s more than a packet is long, each time."""
    packets = [attrs.evolve(packet, timestamp=n * 961) for n, packet in enumerate(caller.packets(voice * 6))]
    heard = listen(network.carry(packets), rate=8000)
    assert len(heard.samples) == 600 * 160 + 599 // 6


def test_timestamps_that_jump_over_a_loss_cost_the_loss(caller, network, listen, voice):
    packets = caller.packets(voice)
    jumped = packets[:50] + shifted(packets[52:], timestamp=10**9)
    heard = listen(network.carry(jumped), rate=RATE)
    assert len(heard.samples) == 2 * RATE
    assert heard.facts["concealed_ms"] == 40


def test_a_long_outage_is_silence_as_it_passes(caller, network, listen, voice):
    """10 s in which everything is lost, but the caller goes on."""
    packets = caller.packets(voice * 7)
    heard = listen(network.carry(packets[:100] + packets[600:]), rate=RATE)
    assert len(heard.samples) == 14 * RATE
    assert heard.facts["lost"] == 500
    assert heard.facts["silence_ms"] + heard.facts["concealed_ms"] == 10_000
    assert heard.facts["concealed_ms"] < 300


# -- codecs


def g711(caller, pcm, law, kind, *, at=1000.0, sequence=65500, timestamp=77):
    payload = law.encode(pcm)
    return [
        caller.Sent(at + n * 0.02, (sequence + n) & 0xFFFF, timestamp + n * 160, payload[n * 160 : n * 160 + 160], kind)
        for n in range(len(payload) // 160)
    ]


@pytest.mark.parametrize("rate", [8000, 12000, 16000, 24000, 48000])
def test_g711_keeps_level_and_length_at_every_rate(caller, network, listen, measure, tone, rate):
    for law, kind in ((PCMU, caller.PCMU), (PCMA, caller.PCMA)):
        heard = listen(network.carry(g711(caller, tone(1.0, 8000), law, kind)), rate=rate)
        assert len(heard.samples) == rate
        for level in measure.levels(heard.samples, rate)[1:]:
            assert level == pytest.approx(8000 / 2**0.5, rel=0.05)


@pytest.mark.parametrize("size", [7, 37, 161])
def test_g711_packets_may_have_any_length(tone, measure, size):
    decoder = G711Decoder(PCMU, 12000)
    payload = PCMU.encode(tone(2.0, 8000))
    pieces = [decoder.decode(payload[at : at + size]) for at in range(0, len(payload), size)]
    samples = array.array("h", b"".join(pieces))
    assert len(samples) == 24000
    assert max(len(piece) for piece in pieces) - min(len(piece) for piece in pieces[:-1]) <= 2
    for level in measure.levels(samples, 12000)[1:]:
        assert level == pytest.approx(8000 / 2**0.5, rel=0.02)


def test_g711_behind_loss_keeps_its_tone(caller, network, listen, measure, tone):
    packets = g711(caller, tone(4.0, 8000), PCMU, caller.PCMU)
    clean = listen(network.carry(packets), rate=24000)
    arrivals = network.carry(packets, is_lost=network.random_loss(0.1))
    heard = listen(arrivals, rate=24000)
    assert len(heard.samples) == len(clean.samples)
    assert heard.facts["concealed_ms"] == (len(packets) - len(arrivals)) * 20
    zeros = array.array("h", clean.samples)
    came = {arrival.packet.sequence for arrival in arrivals}
    for n, packet in enumerate(packets):
        if packet.sequence not in came:
            zeros[n * 480 : (n + 1) * 480] = array.array("h", bytes(1920))
    # Repeating the last period is far nearer to a tone than silence is.
    assert measure.error(heard.samples, clean.samples) < measure.error(zeros, clean.samples) / 3


def test_the_codec_may_change_in_the_middle_of_a_call(caller, network, listen, voice, tone):
    """Opus, PCMU, Opus: numbers go on, timestamps tick at another rate and have no relation."""
    first = caller.packets(voice)
    second = g711(caller, tone(2.0, 8000), PCMU, caller.PCMU, at=1002.0, sequence=65600, timestamp=123456)
    third = shifted(caller.packets(voice), at=4.0, timestamp=999, sequence=200)
    heard = listen(network.carry(first + second + third), rate=RATE, until=1006.05)
    assert len(heard.samples) == 6 * RATE
    assert heard.facts["silence_ms"] == heard.facts["concealed_ms"] == 0
    assert not any(silent(heard.samples[at : at + FRAME]) for at in range(FRAME, 6 * RATE, FRAME))
    # A packet lost at the seam is as long as the one before it.
    heard = listen(network.carry(first + second[1:] + third[2:]), rate=RATE)
    assert len(heard.samples) == 6 * RATE
    assert heard.facts["concealed_ms"] == 60


def test_frames_may_change_their_length(caller, network, listen, tone):
    pcm = tone(1.2, RATE)
    sent, at, timestamp = [], 1000.0, 0
    for ms in (10, 60, 20, 40):
        for frame in caller.frames(pcm, RATE, ms):
            sent.append(caller.Sent(at, len(sent), timestamp, frame))
            at, timestamp = at + ms / 1000, timestamp + ms * 48
    heard = listen(network.carry(sent), rate=RATE)
    assert len(heard.samples) == 4 * int(1.2 * RATE)
    assert heard.facts["silence_ms"] == heard.facts["ahead_ms"] == 0


def test_a_receiver_that_is_seldom_asked_hands_on_everything(caller, network, listen, voice):
    options = ListeningOptions()
    heard = listen([], rate=RATE, options=options)
    receiver = heard.receiver
    packets = caller.packets(voice)
    for packet in packets:
        receiver.receive(
            packet.payload_type, packet.sequence, packet.timestamp, packet.marker, packet.payload, packet.at
        )
    assert len(receiver.take(1002.0)) == 2 * 2 * RATE
    # A second of silence at a time.
    assert len(receiver.take(1012.0)) == 2 * RATE
    assert len(receiver.take(1012.0)) == 2 * RATE
