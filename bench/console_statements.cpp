// How long the console's questions to PostgreSQL take, in a database that bench/console/fill.sql
// has filled:
//
//     txs_console_statements CONNINFO [ROUNDS]
//
// Prints, for each, the median and the longest of its rounds in milliseconds, and what it found. A
// search makes one step, so that a line is at most a few short statements and one long one.
#include "outbox/backlog.hpp"
#include "outbox/dead_letter_groups.hpp"
#include "outbox/event_detail.hpp"
#include "outbox/event_log.hpp"
#include "outbox/event_search.hpp"
#include "outbox/event_times.hpp"
#include "outbox/situation.hpp"
#include "pg/connection.hpp"
#include "runtime/task_group.hpp"

#include <boost/asio/io_context.hpp>

#include <algorithm>
#include <cstdio>
#include <functional>
#include <string>
#include <vector>

namespace {

using namespace txstream;
using Clock = std::chrono::steady_clock;

constexpr std::chrono::seconds kPatience{60};

Deadline soon() {
    return Deadline::in(kPatience);
}

template <class T>
T must(Result<T> result) {
    if (result) return std::move(*result);
    std::fprintf(stderr, "failed: %s\n", result.error().what().c_str());
    std::exit(1);
}

class Bench {
public:
    Bench(pg::Connection& connection, int rounds) : connection_(connection), rounds_(rounds) {}

    Task<> run();

private:
    Task<> measure(std::string name, std::function<Task<std::string>()> question) {
        std::vector<double> took;
        std::string answer;
        for (int i = 0; i < rounds_; ++i) {
            const auto begin = Clock::now();
            answer = co_await question();
            took.push_back(std::chrono::duration<double, std::milli>(Clock::now() - begin).count());
        }
        std::ranges::sort(took);
        std::printf(
            "%-64s %8.1f %8.1f  %s\n",
            name.c_str(),
            took[took.size() / 2],
            took.back(),
            answer.c_str()
        );
        longest_ = std::max(longest_, took.back());
    }
    Task<> search(std::string q, std::size_t walked_max = 1) {
        const auto now =
            std::chrono::time_point_cast<std::chrono::microseconds>(std::chrono::system_clock::now()
            );
        const auto parsed = outbox::parse_event_filter(q, now);
        if (parsed.error) {
            std::fprintf(stderr, "%s: %s\n", q.c_str(), parsed.error->text.c_str());
            std::exit(1);
        }
        co_await measure(
            "events " + q + (walked_max > 1 ? " (all steps)" : ""),
            [&]() -> Task<std::string> {
                outbox::EventSearch one{
                    .filter = parsed.filter, .default_topic = "txstream.events"
                };
                one.limits.walked_max = walked_max;
                const auto found = must(co_await outbox::search_events(connection_, one, soon()));
                co_return std::to_string(found.events.size()) + " of " +
                    std::to_string(found.searched) + (found.is_exact ? ", exact" : "") +
                    (found.before ? "" : ", complete");
            }
        );
    }
    Task<> rest(EventSeq middle, std::string key);
    Task<> looks();
    Task<std::string> text(std::string sql) {
        const auto rows = must(
            co_await connection_.run({"bench", sql.c_str(), pg::Planning::each_time}, {}, soon())
        );
        co_return rows.empty() ? std::string() : std::string(rows.bytes(0, 0));
    }

    pg::Connection& connection_;
    int rounds_;
    double longest_ = 0;
};

Task<> Bench::rest(EventSeq middle, std::string key) {
    const auto parked = co_await text(
        "SELECT id || '.' || xid FROM txstream.dead_letters WHERE id > (SELECT max(id) / 2"
        " FROM txstream.dead_letters) ORDER BY id LIMIT 1"
    );
    const auto when = co_await text(
        "SELECT extract(epoch FROM created_at)::bigint::text FROM txstream.outbox WHERE id = " +
        std::to_string(middle.id())
    );
    const auto detail = [&](EventSeq seq) -> Task<std::string> {
        const auto found = must(co_await outbox::event_detail(connection_, seq, {}, soon()));
        co_return std::to_string(found.neighbours.size()) + " neighbours";
    };
    co_await measure("event, published", [&] { return detail(middle); });
    co_await measure("event, parked", [&] {
        return detail(outbox::parse_event_ref(parked).value());
    });
    co_await measure("dead letters, groups", [&]() -> Task<std::string> {
        const auto found = must(co_await outbox::dead_letter_groups(connection_, {}, soon()));
        co_return std::to_string(found.groups.size()) + " groups, the largest of " +
            std::to_string(found.groups.front().events.value);
    });
    const auto letters = [&](outbox::DeadLetterFilter filter) -> Task<std::string> {
        const auto found =
            must(co_await outbox::dead_letters(connection_, std::move(filter), {}, {}, soon()));
        co_return std::to_string(found.letters.size()) + (found.before ? ", goes on" : "");
    };
    co_await measure("dead letters, all", [&] { return letters({}); });
    co_await measure("dead letters of a cause", [&] {
        return letters({"held", "OrderCreated", "", outbox::EventState::parked, {}});
    });
    co_await measure("dead letters of a key", [&] { return letters({{}, {}, {}, {}, "nothing"}); });
    co_await measure("events near 50 keys and times", [&]() -> Task<std::string> {
        std::vector<outbox::Trail> trails;
        const outbox::Time about{std::chrono::seconds(std::stoll(when))};
        for (int i = 0; i < 50; ++i)
            trails.push_back({i % 2 == 0 ? key : "nothing" + std::to_string(i), about, {}});
        std::size_t found = 0;
        for (const auto& event :
             must(co_await outbox::events_near(connection_, trails, 500, soon())))
            found += event ? 1 : 0;
        co_return std::to_string(found) + " found";
    });
}

// What is asked again and again: by the overview, the API and the relay that measures.
Task<> Bench::looks() {
    for (const std::size_t offset : {std::size_t{0}, std::size_t{10'000}}) {
        co_await measure(
            "the newest 100 events behind " + std::to_string(offset),
            [&]() -> Task<std::string> {
                const auto page = must(co_await outbox::newest_events(
                    connection_, {.limit = 100, .offset = offset, .bytes_max = 1U << 20U}, soon()
                ));
                co_return std::to_string(page.events.size());
            }
        );
    }
    co_await measure("situation", [&]() -> Task<std::string> {
        co_return std::to_string(must(co_await outbox::read_situation(connection_, soon())).lanes) +
            " lanes";
    });
    std::vector<LaneId> lanes;
    for (std::int16_t lane = 0; lane < 32; ++lane) lanes.emplace_back(lane);
    co_await measure("what waits, 1,000 events of each lane", [&]() -> Task<std::string> {
        const auto found = must(co_await outbox::count_waiting(connection_, lanes, 1'000, soon()));
        co_return std::to_string(found.events) + " of " + std::to_string(found.keys) + " keys";
    });
    const std::vector one{LaneId(7)};
    co_await measure("what waits, 1,000 events of one lane", [&]() -> Task<std::string> {
        const auto found = must(co_await outbox::count_waiting(connection_, one, 1'000, soon()));
        co_return std::to_string(found.events) + " of " + std::to_string(found.keys) + " keys";
    });
    outbox::BacklogMeter meter;
    const auto backlog = [&]() -> Task<std::string> {
        const auto found = must(co_await meter.measure(connection_, soon()));
        co_return std::to_string(found.pending) + (found.is_estimate ? ", estimated" : "");
    };
    co_await measure("backlog, nothing is known", [&] {
        meter.forget();
        return backlog();
    });
    co_await measure("backlog, later", backlog);
    co_await measure("age of the oldest", [&]() -> Task<std::string> {
        const auto age = must(co_await outbox::oldest_pending_age(connection_, soon()));
        co_return age ? std::to_string(age->count()) + " s" : "none";
    });
}

Task<> Bench::run() {
    const auto middle = co_await text(
        "SELECT id || '.' || xid FROM txstream.outbox WHERE id > (SELECT max(id) / 2"
        " FROM txstream.outbox) ORDER BY id LIMIT 1"
    );
    const auto event_id = co_await text(
        "SELECT event_id::text FROM txstream.outbox WHERE id = " +
        middle.substr(0, middle.find('.'))
    );
    const auto key = co_await text(
        "SELECT aggregate_id FROM txstream.outbox WHERE id = " + middle.substr(0, middle.find('.'))
    );
    for (const auto& q :
         {std::string(),
          std::string("state:pending,replaying,parked"),
          std::string("state:pending"),
          std::string("state:published"),
          std::string("state:parked"),
          std::string("state:parked,published type:OrderCreated"),
          std::string("error:INVALID_RECORD"),
          std::string("error:nothing"),
          std::string("type:OrderCreated"),
          std::string("type:Nothing"),
          std::string("topic:stock"),
          std::string("lane:7 type:Nothing"),
          "id:" + middle,
          "id:" + middle.substr(0, middle.find('.')),
          "id:" + event_id,
          "id:" + event_id + " key:" + key,
          "key:" + key,
          std::string("aggregate:nothing"),
          std::string("trace:4bf92f3577b34da6a3ce929d0e0e4736"),
          std::string("created:<-6h"),
          std::string("created:>-7h created:<-6h type:Nothing"),
          std::string("created:>-1m"),
          std::string("created:<-7d")})
        co_await search(q);
    co_await search("type:Nothing", 100'000);
    co_await rest(outbox::parse_event_ref(middle).value(), key);
    co_await looks();
    std::printf("longest: %.1f ms\n", longest_);
}

}  // namespace

int main(int argc, char** argv) {
    if (argc < 2) {
        std::fprintf(stderr, "usage: %s CONNINFO [ROUNDS]\n", argv[0]);
        return 2;
    }
    asio::io_context io;
    const std::string conninfo = argv[1];
    const int rounds = argc > 2 ? std::atoi(argv[2]) : 5;
    runtime::TaskGroup group(io.get_executor());
    const auto all = [&]() -> Task<> {
        const auto connection = must(co_await pg::Connection::open(
            io.get_executor(), pg::ConnInfo(conninfo), outbox::kConsoleSettings, soon()
        ));
        co_await Bench(*connection, rounds).run();
    };
    group.spawn(all());
    io.run();
    return 0;
}
