"""The guards of the heart that sim_mutants.py takes away: name, file, text (found exactly once), what is put in its place.

Where a guard is a condition of a statement, its model in tests/sim is changed: that the statement has it too is shown by
the contract suite, which both pass.
"""

MACHINE = "src/relay/lane_machine.cpp"
DELIVERY = "src/relay/delivery.cpp"
REPORTS = "src/relay/delivery_reports.cpp"
ASIDE = "src/relay/delivery_aside.cpp"
LANES = "src/relay/delivery_lanes.cpp"
PATHS = "src/relay/topic_paths.cpp"
KEEPER = "src/relay/keeper.cpp"
READER = "src/relay/reader.cpp"
SNAPSHOT = "src/outbox/snapshot.cpp"
SERVER = "tests/sim/postgres.cpp"

MUTANTS = [
    ("epoch: a write of a former owner changes nothing", SERVER,
     "           progress.epoch.value();", "               progress.epoch.value() ||\n           true;"),
    ("lease: a lane is claimed only when it has ended", SERVER,
     "lane.lease_ends < world_.now() || is_forgotten", "true || is_forgotten"),
    ("lease: only lanes whose lease has not ended are prolonged", SERVER,
     "lane.owner == owner && lane.lease_ends >= world_.now()", "lane.owner == owner"),
    ("claim: what was claimed and did not become known is claimed again", SERVER,
     "lane.owner == owner &&\n            std::ranges::find(owned", "false && lane.owner == owner &&\n            std::ranges::find(owned"),
    ("parking: the cursor moves in the same transaction", SERVER,
     "        for (const auto& [id, letter] : letters) tables.dead_letters.try_emplace(id, letter);\n", ""),
    ("held keys: those of the table are known to a new owner", MACHINE,
     "for (auto& key : claimed.held_keys) held_.insert(std::move(key));", ""),
    ("held keys: nothing passes a parked event", DELIVERY,
     "if (lane.machine.holds(event.key)) {", "if (false && lane.machine.holds(event.key)) {"),
    ("acknowledgement before position: a page is complete", MACHINE,
     "if (acknowledging_ > 0 || pages_.empty() || pages_.front().open > 0) return std::nullopt;",
     "if (acknowledging_ > 0 || pages_.empty()) return std::nullopt;"),
    ("refused: its topic goes the careful way", REPORTS, "    topics_.refused(topic, refused, now);\n", ""),
    ("refused: only what was alone is to blame", REPORTS, "    if (refused > 1) return back_aside(lane, slot);\n", ""),
    ("refused: a batch is halved until it is one record", PATHS, "clamp<std::size_t>(records / 2, 1,", "clamp<std::size_t>(records, 1,"),
    ("refused: attempts end", REPORTS, "slot.attempts < limits_.attempts_max", "true"),
    ("aside: nothing passes an earlier event of its key", DELIVERY,
     "lane.aside.empty() || !lane.aside.contains(event.key);", "true;"),
    ("careful: one record of a key is in flight", ASIDE,
     "        case Sent::taken:\n            return true;\n", "        case Sent::taken:\n            begin_queue(lane, queue);\n            return true;\n"),
    ("careful: earlier events of the lane leave the fast path first", ASIDE,
     "    if (must_wait(lane, slot)) return false;\n    if (now <", "    if (now <"),
    ("careful: what a producer that ended has of the key comes back first", ASIDE,
     "(needs_restart_ && lane.fast > 0) || has_fast_before(lane, slot)", "has_fast_before(lane, slot)"),
    ("parking: earlier events leave the fast path first", DELIVERY, "if (has_fast_before(lane, slot)) {", "if (false) {"),
    ("topic: KAFKA_TOPIC is never given up", PATHS,
     "topic.state == State::closed && !topic.is_default &&", "topic.state == State::closed &&"),
    ("topic: KAFKA_TOPIC is tried again although nothing is in hand", LANES, " || usual.aside == 0);", ");"),
    ("room: what is in hand goes on without any", READER,
     "    if (may_send) {\n        delivery_.pump();", "    if (may_read) {\n        delivery_.pump();"),
    ("snapshot: what was running is not seen", SNAPSHOT,
     "return !std::binary_search(running_.begin(), running_.end(), xid);", "return true;"),
    ("lease: nothing is handed over after its end", DELIVERY,
     "if (now < lane.publish_until) pump(lane, now);", "pump(lane, now);"),
    ("lease: lanes whose lease has ended are given up", LANES,
     "if (lane.publish_until <= now) lost.push_back(id);", ""),
    ("lost lane: what is queued does not leave", LANES, "    if (needs_restart_) fast_.reset();\n", ""),
    ("lost lane: nor on the careful path", LANES, "    if (!lane.careful.empty()) end_careful(kLaneLost);\n", ""),
    ("trust: nothing is polled while in doubt", LANES, "return !is_in_doubt() && (", "return ("),
    ("trust: lanes are lost with the session", KEEPER, "    if (!lanes_.is_open()) lose_all();\n    if (stop_at_",
     "    if (stop_at_"),
    ("the end: no record leaves after the lanes are given back", KEEPER, "    delivery_.close();\n", ""),
    ("reports: a failed record takes the producer down", REPORTS,
     "    must_restart(is_purged ? kProducerRestart : header_word(Blockage::kafka_unavailable));\n", ""),
    ("topic: what went after a refused record goes again after it", REPORTS,
     "        must_restart(header_word(Blockage::topic_refused));\n", ""),
    ("reader: an answer of an earlier life is of no use", READER,
     "    if (delivery_.lives() != life_) co_return false;\n    keep_those_at(lanes, cursor);\n"
     "    if (outbox::is_cut",
     "    keep_those_at(lanes, cursor);\n    if (outbox::is_cut"),
    ("reader: a page that was asked for before the lane was lost follows on nothing", READER,
     "return delivery_.machine(asked.lane).epoch() == asked.epoch;", "return true;"),
    ("reader: a window counts only for lanes that are still where it begins", READER,
     "return machine.is_paging() || !(machine.cursor() == cursor);", "return machine.is_paging();"),
]
