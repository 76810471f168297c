// What reading the outbox costs on its own:
//
//   txs_read_alone CONNINFO CURSOR LANES PAGE_ROWS
//
// Reads everything that is not visible in CURSOR, as a relay does: one window, all lanes, in pages,
// of which the server makes the next while this one is in hand. Throws the events away. Prints how
// many there were, the seconds, and the processor time of this process; that of the server is for
// the caller to see.

#include "outbox/reader.hpp"
#include "pg/connection.hpp"
#include "runtime/task_group.hpp"

#include <boost/asio/io_context.hpp>

#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <string>
#include <type_traits>
#include <utility>

namespace {

using namespace txstream;
using Clock = std::chrono::steady_clock;

constexpr std::chrono::seconds kPatience{600};
constexpr std::size_t kPageBytes = 4 * 1024 * 1024;
constexpr std::size_t kEventBytes = 1024 * 1024;
Deadline soon() {
    return Deadline::in(kPatience);
}

template <class T>
T must(Result<T> result) {
    if (!result) {
        std::fprintf(stderr, "failed: %s\n", result.error().what().c_str());
        std::exit(1);
    }
    if constexpr (!std::is_void_v<T>) return std::move(*result);
}

double processor_seconds() {
    return static_cast<double>(std::clock()) / CLOCKS_PER_SEC;
}

struct What {
    std::string conninfo;
    std::string cursor;
    std::int16_t lanes;
    std::size_t page_rows;
};

Task<> read_all(asio::any_io_executor executor, What what) {
    const auto opened = must(co_await pg::Connection::open(
        executor, pg::ConnInfo(std::move(what.conninfo)), outbox::kReaderSettings, soon()
    ));
    auto& connection = *opened;
    const auto cursor = must(outbox::Snapshot::parse(what.cursor));
    const auto target = must(co_await outbox::current_snapshot(connection, soon()));
    const auto first = must(co_await outbox::first_id(connection, cursor, target, {}));
    outbox::PageQuery query{
        .lanes = {},
        .cursor = cursor,
        .target = target,
        .after = first.value_or(EventSeq()).before(),
        .up_to = must(co_await outbox::highest_id(connection, soon())),
        .limit = {what.page_rows, kPageBytes, kEventBytes}
    };
    for (std::int16_t lane = 0; lane < what.lanes; ++lane) query.lanes.emplace_back(lane);
    const auto begun = Clock::now();
    const auto before = processor_seconds();
    std::size_t events = 0;
    must(outbox::send_page(connection, query));
    for (;;) {
        const auto page = must(co_await outbox::receive_page(connection, soon()));
        events += page.size();
        if (!outbox::is_cut(page, query.limit)) break;
        query.after = page.id(page.size() - 1);
        must(outbox::send_page(connection, query));
    }
    const std::chrono::duration<double> took = Clock::now() - begun;
    std::printf(
        "{\"events\": %zu, \"seconds\": %.6f, \"cpu_seconds\": %.6f}\n",
        events,
        took.count(),
        processor_seconds() - before
    );
}

}  // namespace

int main(int argc, char** argv) {
    if (argc != 5) {
        std::fprintf(stderr, "usage: txs_read_alone CONNINFO CURSOR LANES PAGE_ROWS\n");
        return 2;
    }
    const What what{
        argv[1],
        argv[2],
        static_cast<std::int16_t>(std::strtol(argv[3], nullptr, 10)),
        std::strtoull(argv[4], nullptr, 10)
    };
    asio::io_context loop(1);
    runtime::TaskGroup group(loop.get_executor());
    group.spawn(read_all(loop.get_executor(), what));
    loop.run();
    return 0;
}
