#include "tests/sim/postgres.hpp"

#include "base/assert.hpp"

#include <algorithm>
#include <limits>

namespace txstream::sim {

namespace {

// What nobody waits for is on disk soon all the same: three times wal_writer_delay, in the
// proportion that it has to a lease.
constexpr Clock::duration kFlushedWithin = 60ms;

}  // namespace

Postgres::Postgres(Simulation& world, std::size_t lanes) : world_(world) {
    tables_.lanes.resize(lanes);
    for (auto& lane : tables_.lanes) lane.cursor = outbox::Snapshot::parse("1:1:").value();
    disk_ = tables_;
}

// --- writers

std::int64_t Postgres::begin() {
    running_.try_emplace(next_xid_);
    return next_xid_++;
}

Row Postgres::insert(std::int64_t xid, Row row) {
    row.id = next_id_++;
    row.xid = xid;
    if (const auto found = running_.find(xid); found != running_.end())
        found->second.push_back(row);
    return row;
}

bool Postgres::commit(std::int64_t xid) {
    const auto found = running_.find(xid);
    if (found == running_.end()) return false;
    const auto rows = std::move(found->second);
    running_.erase(found);
    prepared_.erase(xid);
    written_xid_ = std::max(written_xid_, xid);
    flush();
    ended_xid_ = std::max(ended_xid_, xid);
    for (const auto& row : rows) {
        committed_.emplace(row.id, row);
        world_.note("commit {} of key {} in transaction {}", row.id, row.key, xid);
        on_commit(row);
    }
    return true;
}

void Postgres::roll_back(std::int64_t xid) {
    if (running_.erase(xid) == 0) return;
    prepared_.erase(xid);
    ended_xid_ = std::max(ended_xid_, xid);
}

bool Postgres::prepare(std::int64_t xid) {
    if (!running_.contains(xid)) return false;
    prepared_.insert(xid);
    written_xid_ = std::max(written_xid_, xid);
    flush();
    return true;
}

// --- trouble

void Postgres::crash(Clock::time_point back) {
    // What was written and not flushed may have reached the disk all the same, from the front.
    const auto kept = world_.random.roll(static_cast<std::int64_t>(unflushed_.size()) + 1);
    for (std::int64_t i = 0; i < kept; ++i) {
        const auto& [xid, change] = unflushed_[static_cast<std::size_t>(i)];
        change(disk_);
        flushed_xid_ = std::max(flushed_xid_, xid);
    }
    unflushed_.clear();
    tables_ = disk_;
    std::erase_if(running_, [&](const auto& one) { return !prepared_.contains(one.first); });
    const auto newest =
        prepared_.empty() ? flushed_xid_ : std::max(flushed_xid_, *prepared_.rbegin());
    world_.note("PostgreSQL crashes; next transaction {} (was {})", newest + 1, next_xid_);
    next_xid_ = newest + 1;
    ended_xid_ = written_xid_ = flushed_xid_ = newest;
    end_sessions(back);
}

void Postgres::end_sessions(Clock::time_point back) {
    back_ = back;
    end_lives();
    world_.note("all sessions end; PostgreSQL is away for {}", (back - world_.now()) / 1ms);
}

void Postgres::demote(Clock::time_point back) {
    promoted_ = back;
    end_lives();
    world_.note("only a standby answers for {}", (back - world_.now()) / 1ms);
}

void Postgres::forget(const Process& process) {
    for (auto* const client : clients_) {
        if (&client->process() == &process) client->server_ended();
    }
}

void Postgres::end_lives() {
    ++life_;
    on_incident("sessions end");
    for (auto* const client : clients_) {
        if (!world_.random.chance(faults.silent)) client->server_ended();
    }
}

void Postgres::heal() {
    faults = {};
    back_ = promoted_ = locked_until_ = {};
    cut_off_.clear();
}

bool Postgres::is_reachable(const Process& process) const {
    if (!is_up()) return false;
    const auto found = cut_off_.find(&process);
    return found == cut_off_.end() || world_.now() >= found->second;
}

// --- the log

void Postgres::write(Durability durability, std::function<void(Tables&)> change) {
    const auto xid = next_xid_++;
    change(tables_);
    unflushed_.emplace_back(xid, std::move(change));
    written_xid_ = std::max(written_xid_, xid);
    ended_xid_ = std::max(ended_xid_, xid);
    if (durability == Durability::flushed) {
        flush();
    } else {
        world_.after(kFlushedWithin, [this] { flush(); });
    }
}

void Postgres::flush() {
    for (const auto& [xid, change] : unflushed_) change(disk_);
    unflushed_.clear();
    flushed_xid_ = written_xid_;
}

// --- statements

outbox::Snapshot Postgres::snapshot() const {
    const auto xmax = ended_xid_ + 1;
    const auto xmin = running_.empty() ? xmax : std::min(xmax, running_.begin()->first);
    std::string text = fmt::format("{}:{}:", xmin, xmax);
    const char* separator = "";
    for (const auto& [xid, rows] : running_) {
        if (xid >= xmax) break;
        text += separator + std::to_string(xid);
        separator = ",";
    }
    return outbox::Snapshot::parse(text).value();
}

std::int16_t Postgres::lane_of(std::string_view key) const {
    std::uint64_t hash = 14695981039346656037ULL;
    for (const char letter : key)
        hash = (hash ^ static_cast<unsigned char>(letter)) * 1099511628211ULL;
    return static_cast<std::int16_t>((hash >> 16) % tables_.lanes.size());
}

EventSeq Postgres::highest_id() const {
    constexpr auto kAnyXid = std::numeric_limits<std::int64_t>::max();
    return committed_.empty() ? EventSeq() : EventSeq(committed_.rbegin()->first, kAnyXid);
}

std::optional<EventSeq> Postgres::first_id(
    const outbox::Snapshot& cursor, const outbox::Snapshot& target
) const {
    for (const auto& [id, row] : committed_) {
        if (row.xid < target.xmax() && !cursor.sees(row.xid)) return EventSeq(id);
    }
    return std::nullopt;
}

std::vector<tests::FakeEvent> Postgres::window(
    const std::vector<LaneId>& lanes, const outbox::Snapshot& cursor, const outbox::Snapshot& target
) const {
    std::vector<tests::FakeEvent> found;
    for (const auto& [id, row] : committed_) {
        if (cursor.sees(row.xid) || !target.sees(row.xid)) continue;
        const auto lane = lane_of(row.key);
        if (std::ranges::find(lanes, LaneId(lane)) == lanes.end()) continue;
        found.push_back(event_of(row));
    }
    return found;
}

tests::FakeEvent Postgres::event_of(const Row& row) const {
    tests::FakeEvent event;
    event.id = row.id;
    event.xid = row.xid;
    event.size = static_cast<std::int64_t>(row.payload.size() + row.key.size());
    event.lane = lane_of(row.key);
    event.aggregate_id = row.key;
    if (!row.topic.empty()) event.topic = row.topic;
    event.payload = row.payload;
    if (!row.type.empty()) event.event_type = row.type;
    return event;
}

bool Postgres::is_held(const Lane& lane, const std::map<std::string, Lease>& leases) const {
    return std::ranges::any_of(leases, [&](const auto& one) {
        return one.second.number == lane.lease;
    });
}

std::string Postgres::owner_of(LaneId id) const {
    const auto& lane = tables_.lanes[static_cast<std::size_t>(id.value())];
    for (const auto& [owner, lease] : tables_.leases) {
        if (lease.number == lane.lease && lease.ends >= world_.now()) return owner;
    }
    return {};
}

// As outbox/lane_store.cpp: an owner whose lease has ended is fenced, its lanes are free.
std::vector<outbox::ClaimedLane> Postgres::claim(
    const Owner& owner, const std::vector<LaneId>& owned, std::size_t limit
) {
    const auto now = world_.now();
    auto leases = tables_.leases;
    std::erase_if(leases, [&](const auto& one) {
        return one.first != owner.name && one.second.ends < now;
    });
    std::vector<outbox::ClaimedLane> claimed;
    if (const auto held = leases.find(owner.name);
        held == leases.end() || held->second.number != owner.lease)
        return claimed;
    std::vector<std::size_t> free;
    std::vector<std::size_t> forgotten;
    for (std::size_t i = 0; i < tables_.lanes.size(); ++i) {
        const auto& lane = tables_.lanes[i];
        const bool is_known =
            std::ranges::find(owned, LaneId(static_cast<std::int16_t>(i))) != owned.end();
        if (!is_held(lane, leases)) free.push_back(i);
        if (is_held(lane, leases) && lane.lease == owner.lease && !is_known) forgotten.push_back(i);
    }
    if (free.empty() && forgotten.empty()) return claimed;
    auto chosen = forgotten;
    chosen.insert(chosen.end(), free.begin(), free.end());
    chosen.resize(std::min(chosen.size(), limit));
    std::ranges::sort(chosen);
    write(Durability::flushed, [chosen, leases, number = owner.lease](Tables& tables) {
        tables.leases = leases;
        for (const auto i : chosen) {
            tables.lanes[i].lease = number;
            ++tables.lanes[i].epoch;
        }
    });
    for (const auto i : chosen) {
        const auto& lane = tables_.lanes[i];
        const auto number = static_cast<std::int16_t>(i);
        on_claim(LaneId(number));
        std::set<std::string> keys;
        std::vector<std::string> due;
        for (const auto& [id, letter] : tables_.dead_letters) {
            if (!letter.holds || !letter.is_open() || lane_of(letter.key) != number) continue;
            if (keys.insert(letter.key).second && !letter.stops()) due.push_back(letter.key);
        }
        claimed.push_back(
            {LaneId(number),
             Epoch(lane.epoch),
             lane.cursor,
             lane.target,
             lane.last,
             {keys.begin(), keys.end()},
             due}
        );
        world_.note("{} claims lane {} under epoch {}", owner.name, number, lane.epoch);
    }
    return claimed;
}

outbox::Shares Postgres::shares(const Owner& owner) const {
    outbox::Shares shares;
    shares.lanes = tables_.lanes.size();
    for (const auto& [name, lease] : tables_.leases) {
        if (lease.ends < world_.now()) continue;
        outbox::Share one{lease.number, 0, lease.want, false, lease.number == owner.lease};
        for (const auto& lane : tables_.lanes) one.lanes += lane.lease == lease.number ? 1 : 0;
        shares.owners.push_back(one);
    }
    std::ranges::sort(shares.owners, {}, &outbox::Share::lease);
    return shares;
}

std::int64_t Postgres::lease_of(const std::string& owner) const {
    const auto found = tables_.leases.find(owner);
    return found == tables_.leases.end() ? 0 : found->second.number;
}

std::int64_t Postgres::enlist(
    const Owner& owner, std::int64_t seen, std::chrono::milliseconds lease
) {
    auto leases = tables_.leases;
    std::erase_if(leases, [&](const auto& one) { return one.second.ends < world_.now(); });
    const auto held = leases.find(owner.name);
    if (held != leases.end() && held->second.number != seen) return 0;
    const bool is_ours = held != leases.end() && seen == owner.lease;
    const auto number = is_ours ? owner.lease : next_lease_++;
    world_.note("{} has lease {} and would have {} lanes", owner.name, number, owner.want.lanes);
    leases[owner.name] = {number, world_.now() + lease, owner.want};
    write(Durability::flushed, [leases](Tables& tables) { tables.leases = leases; });
    return number;
}

std::vector<LaneId> Postgres::give(const Owner& owner, const std::vector<outbox::Gift>& gifts) {
    std::vector<outbox::Gift> given;
    std::vector<LaneId> lanes;
    for (auto gift : gifts) {
        if (!is_current(owner, {gift.lane, gift.epoch, {}, {}, {}, 0})) continue;
        const bool is_there = std::ranges::any_of(tables_.leases, [&](const auto& one) {
            return one.second.number == gift.heir && one.second.ends >= world_.now();
        });
        if (!is_there) gift.heir = 0;
        world_.note("{} gives lane {} to lease {}", owner.name, gift.lane.value(), gift.heir);
        on_give(gift);
        given.push_back(gift);
        lanes.push_back(gift.lane);
    }
    if (given.empty()) return lanes;
    write(Durability::flushed, [given](Tables& tables) {
        for (const auto& gift : given) {
            auto& lane = tables.lanes[static_cast<std::size_t>(gift.lane.value())];
            lane.lease = gift.heir;
            ++lane.epoch;
        }
    });
    return lanes;
}

std::vector<LaneId> Postgres::renew(
    const Owner& owner, const std::vector<LaneId>& lanes, std::chrono::milliseconds lease
) {
    std::vector<LaneId> renewed;
    const auto found = tables_.leases.find(owner.name);
    if (found == tables_.leases.end() || found->second.number != owner.lease ||
        found->second.ends < world_.now())
        return renewed;
    // A crash may forget it.
    write(Durability::written, [owner, until = world_.now() + lease](Tables& tables) {
        tables.leases[owner.name] = {owner.lease, until, owner.want};
    });
    for (const auto id : lanes) {
        const auto& lane = tables_.lanes[static_cast<std::size_t>(id.value())];
        if (lane.lease == owner.lease) renewed.push_back(id);
    }
    return renewed;
}

bool Postgres::is_current(const Owner& owner, const outbox::LaneProgress& progress) const {
    const auto& lane = tables_.lanes[static_cast<std::size_t>(progress.lane.value())];
    const auto found = tables_.leases.find(owner.name);
    if (found == tables_.leases.end() || found->second.number != owner.lease) return false;
    return lane.lease == owner.lease && lane.epoch == progress.epoch.value();
}

namespace {

void move(Postgres::Tables& tables, const outbox::LaneProgress& to) {
    auto& lane = tables.lanes[static_cast<std::size_t>(to.lane.value())];
    lane.cursor = to.cursor;
    lane.target = to.target;
    lane.last = to.last_id;
}

}  // namespace

std::vector<LaneId> Postgres::advance(
    const Owner& owner, const std::vector<outbox::LaneProgress>& lanes
) {
    std::vector<outbox::LaneProgress> ours;
    std::vector<LaneId> moved;
    for (const auto& one : lanes) {
        if (!is_current(owner, one)) continue;
        ours.push_back(one);
        moved.push_back(one.lane);
        world_.note(
            "lane {} moves to {} {} {}",
            one.lane.value(),
            one.cursor.text(),
            one.target ? one.target->text() : "-",
            one.last_id.id()
        );
    }
    if (ours.empty()) return moved;
    for (const auto& one : ours) on_move(one);
    write(Durability::written, [ours](Tables& tables) {
        for (const auto& one : ours) move(tables, one);
    });
    return moved;
}

bool Postgres::park(
    const Owner& owner,
    const outbox::LaneProgress& lane,
    const std::vector<outbox::ParkedEvent>& parked
) {
    if (!is_current(owner, lane)) return false;
    std::vector<std::pair<EventSeq, DeadLetter>> letters;
    for (const auto& event : parked) {
        const auto row = committed_.find(event.id.id());
        if (row == committed_.end()) continue;
        letters.emplace_back(
            event.id,
            DeadLetter{
                row->second.key,
                event.attempts,
                event.error_class,
                {},
                false,
                event.waits,
                event.holds
            }
        );
    }
    for (const auto& [id, letter] : letters) {
        world_.note("event {} is parked: {}", id.id(), letter.error_class);
        on_park(id, letter);
    }
    on_move(lane);
    write(Durability::flushed, [letters, lane](Tables& tables) {
        for (const auto& [id, letter] : letters) tables.dead_letters.try_emplace(id, letter);
        move(tables, lane);
    });
    return true;
}

void Postgres::release(const std::string& owner) {
    world_.note("{} gives its lanes back", owner);
    write(Durability::flushed, [owner](Tables& tables) { tables.leases.erase(owner); });
}

}  // namespace txstream::sim
