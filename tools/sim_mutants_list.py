"""The guards of the heart that sim_mutants.py takes away: name, file, text (found exactly once), what is put in its place.

The text is an expression, or whole statements. Where it is not unique, what is replaced stands between « and », with enough
around it. Where a guard is a condition of a statement of SQL, its model in tests/sim is changed: that the statement has it
too is shown by the contract suite, which both pass.

Not here, since nothing is lost without them, or no seed has met what they guard against:
  * that lanes are lost with the keeper's session (Keeper::recover): the next one has another lease, or none, so that its
    first renewal and its first write lose them. The line ends it sooner, and sends less twice.
  * that a lease which has ended is not prolonged (outbox/lane_store.cpp): as long as nobody has taken its lanes it may be;
  * that lanes whose lease has ended are given up (Delivery::lose_expired): no statement outlasts the leases, so that the next
    one fails and they are lost with the session. keeper_test.cpp shows the guard itself.
  * that an answer of the reader's is left alone when its lanes were lost and came back while it was on its way: of two
    seconds of storm, that takes too many rare things at once. reader_test.cpp shows each of the three guards.
  * that nothing more is read of a lane that is to be handed over (Delivery::is_leaving): in peace it comes to its end all
    the same. keeper_test.cpp shows it.
  * that a report of failure ends the fast producer (Delivery::on_retryable): it has ended by itself, says so in its own
    event, and takes nothing any more. The line decides which reason the records carry that are sent again.
"""

MACHINE = "src/relay/lane_machine.cpp"
MACHINE_HEADER = "src/relay/lane_machine.hpp"
DELIVERY = "src/relay/delivery.cpp"
PRODUCER = "src/relay/delivery_producer.cpp"
REPORTS = "src/relay/delivery_reports.cpp"
ASIDE = "src/relay/delivery_aside.cpp"
LANES = "src/relay/delivery_lanes.cpp"
PATHS = "src/relay/topic_paths.cpp"
KEEPER = "src/relay/keeper.cpp"
BALANCE = "src/relay/keeper_balance.cpp"
READER = "src/relay/reader.cpp"
SNAPSHOT = "src/outbox/snapshot.cpp"
REPLAY = "src/relay/replay.cpp"
SENDING = "src/relay/replay_sending.cpp"
LETTERS = "tests/sim/dead_letters.cpp"
SERVER = "tests/sim/postgres.cpp"

MUTANTS = [
    ("lease: a former owner parks nothing", SERVER, "if (!is_current(owner, lane)) return false;", ""),
    ("lease: nor does it move a position", SERVER, "if (!is_current(owner, one)) continue;", ""),
    ("lease: a lane is claimed only when it has ended", SERVER, "one.second.ends < now", "true"),
    ("claim: what was claimed and did not become known is claimed again", SERVER,
     "is_held(lane, leases) && lane.lease == owner.lease && !is_known", "false"),
    ("parking: the cursor moves in the same transaction", SERVER,
     "for (const auto& [id, letter] : letters) tables.dead_letters.try_emplace(id, letter);", ""),
    ("held keys: those of the table are known to a new owner", MACHINE,
     "for (auto& key : claimed.held_keys) held_.try_emplace(std::move(key));", ""),
    ("held keys: nothing passes a parked event", MACHINE_HEADER, "page < found->second.waits_from ? «Way::behind» : Way::waits", "Way::free"),
    ("skip: what is skipped does not hold its key", MACHINE, "if («event.holds») {", "true"),
    ("skip: it is said in the letter", DELIVERY, "parked.holds = !dependencies_.skip.skips(event.topic, event.identity.event_type);", ""),
    ("skip: what is parked for a pause holds its key", DELIVERY, "if («parked.error_class != kPaused») {", "true"),
    ("skip: only what is to be skipped", DELIVERY, "parked.holds = «!dependencies_.skip.skips(event.topic, event.identity.event_type)»;", "false"),
    ("skip: a letter that holds nothing is sent when it is decided about", LETTERS, "found.keys.push_back({lane, letter.key, «letter.holds»});",
     "true"),
    ("skip: new events of a key do not wait for letters that do not hold it", REPLAY, "if («work.key.holds») {", "true"),
    ("replay: new events of the key wait for its letters", MACHINE_HEADER,
     "page < found->second.waits_from ? Way::behind : «Way::waits»", "Way::free"),
    ("replay: of a page all of the key is parked or all waits", MACHINE, "found->second.waits_from = next_number_;",
     "found->second.waits_from = 0;"),
    ("replay: a key with unwritten letters is not released", REPLAY, "!work.is_large && machine.unwritten(work.key.key) == 0", "!work.is_large"),
    ("replay: nor one of which an event was parked meanwhile", REPLAY,
     "machine.waits(work.key.key) && machine.unwritten(work.key.key) == 0", "machine.waits(work.key.key)"),
    ("replay: nor one that has more letters", REPLAY, "!letters.is_cut || number < last_key", "true"),
    ("replay: nor one with a letter that failed", REPLAY, "if («part.has_failed» || part.stops) {", "false"),
    ("replay: nor one with a letter that nobody has decided about", REPLAY, "if (part.has_failed || «part.stops») {", "false"),
    ("replay: a letter that is parked for its own sake is not sent", REPLAY, "if («part.stops» || part.is_paused) continue;", "false"),
    ("replay: nothing leaves of a lane that is lost", REPLAY, "if (is_in_flight) end_publisher();", ""),
    ("replay: the careful way has one of a key in flight", SENDING,
     "«if (letter.state == Letter::State::in_flight) break;»\n            if", ""),
    ("replay: a letter that failed stops its key", SENDING, "if («letter.holds») part.has_failed = true;", "false"),
    ("replay: only what was alone is to blame", SENDING, "!was_careful || refused > 1", "!was_careful"),
    ("replay: a former owner notices nothing", LETTERS, "std::ranges::find(mine, lane) != mine.end()", "true"),
    ("replay: the next owner goes on with what was begun", KEEPER, "replay_.add(lane.lane, lane.due_keys);", ""),
    ("acknowledgement before position: a page is complete", MACHINE_HEADER,
     "!pages_.empty() && pages_.front().open == 0", "!pages_.empty()"),
    ("acknowledgement before position: so is each that joins it", MACHINE,
     "next.open > 0 || !next.parked.empty() || !front.parked.empty()", "!next.parked.empty() || !front.parked.empty()"),
    ("refused: its topic goes the careful way", REPORTS, "topics_.refused(topic, report.error, refused, now);", ""),
    ("refused: only what was alone is to blame", REPORTS, "if (refused > 1) return back_aside(lane, slot);", ""),
    ("refused: a batch is halved until it is one record", PATHS,
     "std::clamp<std::size_t>(records / 2, 1, topic.batch)", "std::clamp<std::size_t>(records, 1, topic.batch)"),
    ("refused: attempts end", REPORTS, "slot.attempts < limits_.attempts_max", "true"),
    ("aside: nothing passes an earlier event of its key", DELIVERY, "lane.aside.empty() || !lane.aside.contains(event.key)", "true"),
    ("careful: one record of a key is in flight", ASIDE,
     "        case Sent::taken:\n            «return true;»\n", "begin_queue(lane, queue);\n            return true;"),
    ("careful: earlier events of the lane leave the fast path first", ASIDE,
     "«if (must_wait(lane, slot)) return false;»\n    if (now <", ""),
    ("careful: what a producer that ended has of the key comes back first", ASIDE,
     "(needs_restart_ && lane.fast > 0) || has_fast_before(lane, slot)", "has_fast_before(lane, slot)"),
    ("parking: earlier events leave the fast path first", DELIVERY, "has_fast_before(lane, slot)", "false"),
    ("topic: KAFKA_TOPIC is never given up", PATHS,
     "is_closed(topic) && !topic.is_default", "is_closed(topic)"),
    ("topic: KAFKA_TOPIC is tried again although nothing is in hand", LANES,
     "!topics_.is_closed(usual) || usual.aside == 0", "!topics_.is_closed(usual)"),
    ("room: what is in hand goes on without any", READER, "if («may_send») {\n        delivery_.pump();", "may_read"),
    ("window: of others a lane begins only one from its own cursor", LANES,
     "machine.is_paging() && machine.cursor() == cursor", "machine.is_paging()"),
    ("window: nor does one that was claimed meanwhile", READER,
     "machine.is_paging() || !(machine.cursor() == cursor)", "machine.is_paging()"),
    ("snapshot: what was running is not seen", SNAPSHOT,
     "return !std::binary_search(running_.begin(), running_.end(), xid);", "return true;"),
    ("lease: nothing is handed over after its end", DELIVERY, "now < lane.publish_until", "true"),
    ("lost lane: what is queued does not leave", LANES, "if (needs_restart_) fast_.reset();", ""),
    ("lost lane: nor on the careful path", LANES, "if (!lane.careful.empty()) end_careful(kLaneLost);", ""),
    ("trust: nothing is polled while in doubt", LANES, "if («is_in_doubt()» ||", "false"),
    ("the end: no record leaves after the lanes are given back", KEEPER, "delivery_.close();", ""),
    ("hand-over: what is in flight is written first", LANES, "found != lanes_.end() && «found->second.pages.empty()»", "true"),
    ("hand-over: a lane is forgotten before another has it", BALANCE, "delivery_.lose(gift.lane);", "delivery_.stay(gift.lane);"),
    ("hand-over: letters on their way are settled first", BALANCE, "!replay_.is_busy_with(lane)", "true"),
    ("hand-over: a former owner hands nothing over", SERVER,
     "if (!is_current(owner, {gift.lane, gift.epoch, {}, {}, {}, 0})) continue;", ""),
    ("hand-over: whoever has too many gives", BALANCE, "heirs_ = balance.heirs;", ""),
    ("reports: a producer that has failed is ended", PRODUCER, "needs_restart_ = true;", ""),
    ("topic: what went after a refused record goes again after it", REPORTS,
     "must_restart(header_word(Blockage::topic_refused));", ""),
    ("pause: everything stands still", DELIVERY, "if (paused_.everything()) return;", ""),
    ("pause: nothing of a topic is fast", PATHS, "topic.state == State::fast && !topic.is_paused", "topic.state == State::fast"),
    ("pause: nor careful", ASIDE, "if (topic.is_paused) return Way::none;", ""),
    ("pause: nothing of a key leaves", DELIVERY, "Way::free && «!paused_.key(event.key)»", "true"),
    ("pause: no replay of a key", REPLAY, "delivery.paused().key(work.key.key)", "false"),
    ("pause: no replay of a topic's event", REPLAY,
     "part.is_paused = part.is_paused || is_paused(letters.events.at(row));", ""),
    ("pause: known before lanes are claimed", KEEPER, "delivery_.lane_count() > 0 || now >= claim_at_", "delivery_.lane_count() > 0"),
    ("topic: its letters follow when it takes records again", REPLAY, "if (takes) open_.insert(std::move(name));", ""),
    ("topic: its letters are tried", REPLAY, "which.letters = 1;", "which.letters = 0;"),
]
