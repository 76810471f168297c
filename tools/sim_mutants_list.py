"""The guards of the heart that sim_mutants.py takes away: name, file, text (found exactly once), what is put in its place.

Where a guard is a condition of a statement, its model in tests/sim is changed: that the statement has it too is shown by
the contract suite, which both pass.
"""

MACHINE = "src/relay/lane_machine.cpp"
DELIVERY = "src/relay/delivery.cpp"
REPORTS = "src/relay/delivery_reports.cpp"
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
    ("held keys: nothing passes a parked event", MACHINE, "    if (holds(key)) {", "    if (false && holds(key)) {"),
    ("held keys: what was not written is forgotten", MACHINE,
     "for (const auto& key : page.keys_held) held_.erase(key);", ""),
    ("acknowledgement before position: a page is complete", MACHINE,
     "if (acknowledging_ > 0 || pages_.empty() || pages_.front().open > 0) return std::nullopt;",
     "if (acknowledging_ > 0 || pages_.empty()) return std::nullopt;"),
    ("refused: only what was alone counts as an attempt", MACHINE,
     "if (!is_first) ++refusal.attempts;", "++refusal.attempts; (void)is_first;"),
    ("refused: attempts end", MACHINE, "found->second.attempts >= limits_.attempts_max", "false"),
    ("restart: the lane goes back to what is acknowledged", MACHINE, "    read_ = done_;\n    ++rewinds_;", "    ++rewinds_;"),
    ("snapshot: what was running is not seen", SNAPSHOT,
     "return !std::binary_search(running_.begin(), running_.end(), xid);", "return true;"),
    ("lease: nothing is handed over after its end", DELIVERY,
     "needs_restart_ || is_closed_ || now >= lane.publish_until", "needs_restart_ || is_closed_"),
    ("lease: lanes whose lease has ended are given up", DELIVERY,
     "if (lane.publish_until <= now) lost.push_back(id);", ""),
    ("lost lane: what is queued does not leave", DELIVERY, "    if (needs_restart_) publisher_.reset();\n", ""),
    ("suspect: it goes when nothing else is in flight", DELIVERY,
     "    if (in_flight_events_ > 0 && (is_alone_ || is_suspect)) return false;\n", ""),
    ("trust: nothing is polled while in doubt", DELIVERY, "    if (is_in_doubt()) return groups;\n", ""),
    ("trust: lanes are lost with the session", KEEPER, "    if (!lanes_.is_open()) lose_all();\n    if (stop_at_",
     "    if (stop_at_"),
    ("the end: no record leaves after the lanes are given back", KEEPER, "    delivery_.close();\n", ""),
    ("reports: a failed record takes the producer down", REPORTS,
     "                must_restart(header_word(Blockage::kafka_unavailable));\n", ""),
    ("topic: what went after a refused record goes again after it", REPORTS,
     "        must_restart(header_word(Blockage::topic_refused));\n", "        cut(lane, page, index);\n"),
    ("reader: an answer of an earlier life is of no use", READER,
     "    if (delivery_.needs_restart() || delivery_.lives() != life_) co_return false;\n    keep_those_at(lanes, cursor);\n"
     "    if (outbox::is_cut",
     "    keep_those_at(lanes, cursor);\n    if (outbox::is_cut"),
    ("reader: a page that was asked for before the lane went back follows on nothing", READER,
     "machine.epoch() == asked.epoch && machine.rewinds() == asked.rewinds", "machine.epoch() == asked.epoch"),
    ("reader: a window counts only for lanes that are still where it begins", READER,
     "return machine.is_paging() || !(machine.cursor() == cursor);", "return machine.is_paging();"),
]
