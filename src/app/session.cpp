#include "app/session.hpp"

#include "runtime/task_group.hpp"

#include <boost/asio/io_context.hpp>

#include <utility>

namespace txstream::app {

Result<> with_session(
    const Config& config,
    std::chrono::milliseconds timeout,
    const std::function<Task<Result<>>(pg::Connection&, Deadline)>& work
) {
    asio::io_context loop(1);
    Result<> result;
    const auto deadline = Deadline::in(timeout);
    const auto run = [&]() -> Task<> {
        auto session = co_await pg::Connection::open(
            loop.get_executor(), config.database.connect_info(), {}, deadline
        );
        if (!session) {
            result = tl::unexpected<Error>(std::move(session).error());
            co_return;
        }
        result = co_await work(**session, deadline);
    };
    runtime::TaskGroup tasks(loop.get_executor());
    tasks.spawn(run());
    loop.run();
    return result;
}

Task<Result<>> ensure_open(
    std::unique_ptr<pg::Connection>& session,
    asio::any_io_executor executor,
    pg::ConnInfo conninfo,
    std::string settings,
    Deadline deadline
) {
    if (session && session->is_alive()) co_return Result<>();
    session.reset();
    TXS_CO_TRY(
        session,
        co_await pg::Connection::open(
            std::move(executor), std::move(conninfo), std::move(settings), deadline
        )
    );
    co_return Result<>();
}

}  // namespace txstream::app
