#include "outbox/server_facts.hpp"

namespace txstream::outbox {

namespace {

// reset_val: what a session has that sets nothing itself. Half of the transaction ids are the
// future: a database whose oldest row is so old that it meets them is closed.
constexpr pg::Statement kServer{
    "txs_server_facts",
    R"(
WITH s AS MATERIALIZED (SELECT name, reset_val FROM pg_settings),
held AS (SELECT format('session %s (%s, user %s)', pid, coalesce(nullif(application_name, ''), backend_type), usename) AS name,
  clock_timestamp() - coalesce(xact_start, backend_start) AS age
 FROM pg_stat_activity WHERE (backend_xmin IS NOT NULL OR backend_xid IS NOT NULL) AND pid <> pg_backend_pid()
  AND backend_type = 'client backend' AND datname = current_database()
 ORDER BY coalesce(xact_start, backend_start) LIMIT 1),
prepared AS (SELECT format('prepared transaction %L (owner %s)', gid, owner) AS name, clock_timestamp() - prepared AS age
 FROM pg_prepared_xacts WHERE database = current_database() ORDER BY prepared LIMIT 1)
SELECT current_setting('server_version_num')::bigint, current_setting('server_version'), clock_timestamp(),
 pg_is_in_recovery(), (SELECT reset_val = 'on' FROM s WHERE name = 'default_transaction_read_only'), current_user::text,
 (SELECT reset_val FROM s WHERE name = 'synchronous_commit'), (SELECT reset_val = 'on' FROM s WHERE name = 'fsync'),
 (SELECT reset_val = 'on' FROM s WHERE name = 'full_page_writes'), (SELECT reset_val = 'on' FROM s WHERE name = 'autovacuum'),
 (SELECT 2147483648 - age(datfrozenxid)::bigint FROM pg_database WHERE datname = current_database()),
 (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'),
 current_setting('max_connections')::bigint - current_setting('superuser_reserved_connections')::bigint,
 pg_has_role('pg_read_all_stats', 'USAGE'),
 (SELECT name FROM held), (SELECT extract(epoch FROM age)::bigint FROM held),
 (SELECT name FROM prepared), (SELECT extract(epoch FROM age)::bigint FROM prepared))",
    pg::Planning::each_time
};

// What each role does with the tables, by the right that it takes. A right on some columns is one.
constexpr pg::Statement kRights{
    "txs_missing_rights",
    R"(
WITH wanted(role, privilege, space, name) AS (VALUES
 ('relay', 'SELECT', 'txstream', 'outbox'), ('relay', 'SELECT', 'txstream', 'lane_positions'),
 ('relay', 'SELECT', 'txstream', 'schema_migrations'), ('relay', 'UPDATE', 'txstream', 'instance'),
 ('relay', 'INSERT', 'txstream', 'leases'), ('relay', 'UPDATE', 'txstream', 'leases'), ('relay', 'DELETE', 'txstream', 'leases'),
 ('relay', 'UPDATE', 'txstream', 'lanes'), ('relay', 'INSERT', 'txstream', 'positions'), ('relay', 'DELETE', 'txstream', 'positions'),
 ('relay', 'INSERT', 'txstream', 'dead_letters'), ('relay', 'UPDATE', 'txstream', 'dead_letters'),
 ('relay', 'INSERT', 'txstream', 'members'), ('relay', 'INSERT', 'txstream', 'history'),
 ('relay', 'UPDATE', 'txstream', 'jobs'), ('relay', 'INSERT', 'txstream', 'audit'),
 ('api', 'INSERT', 'txstream', 'outbox'), ('api', 'SELECT', 'txstream', 'outbox'), ('api', 'SELECT', 'txstream', 'lane_positions'),
 ('api', 'SELECT', 'public', 'orders'), ('api', 'INSERT', 'public', 'orders'),
 ('api', 'SELECT', 'public', 'order_items'), ('api', 'INSERT', 'public', 'order_items'),
 ('console', 'SELECT', 'txstream', 'events'), ('console', 'SELECT', 'txstream', 'lane_positions'),
 ('console', 'SELECT', 'txstream', 'dead_letters'), ('console', 'SELECT', 'txstream', 'members'),
 ('console', 'SELECT', 'txstream', 'history'), ('console', 'SELECT', 'txstream', 'audit'),
 ('console', 'SELECT', 'txstream', 'jobs')
), missing AS (
 SELECT w.role, w.privilege || ' on ' || w.space || '.' || w.name AS what
 FROM wanted w JOIN pg_namespace n ON n.nspname = w.space JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = w.name
 WHERE NOT CASE WHEN w.privilege = 'DELETE' THEN has_table_privilege(c.oid, w.privilege)
  ELSE has_any_column_privilege(c.oid, w.privilege) END
 UNION SELECT w.role, 'USAGE on the schema ' || w.space FROM wanted w JOIN pg_namespace n ON n.nspname = w.space
 WHERE NOT has_schema_privilege(n.oid, 'USAGE')
 UNION SELECT 'relay', 'EXECUTE on the function txstream.' || p.proname
 FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace AND n.nspname = 'txstream'
 WHERE p.proname IN ('maintain_outbox', 'forget') AND NOT has_function_privilege(p.oid, 'EXECUTE')
)
SELECT role, string_agg(what, ', ' ORDER BY what) FROM missing GROUP BY role ORDER BY role)",
    pg::Planning::each_time
};

constexpr pg::Statement kDrawn{
    "txs_ids_drawn",
    R"(
SELECT seqcache FROM pg_sequence
WHERE seqrelid = pg_get_serial_sequence('txstream.outbox', 'id')::regclass)",
    pg::Planning::each_time
};

std::optional<Holder> holder_at(const pg::Rows& rows, int column) {
    if (rows.is_null(0, column)) return std::nullopt;
    return Holder{
        std::string(rows.bytes(0, column)), std::chrono::seconds(rows.integer(0, column + 1))
    };
}

}  // namespace

Task<Result<ServerFacts>> read_server_facts(pg::Connection& connection, Deadline deadline) {
    TXS_CO_TRY(const auto rows, co_await connection.run(kServer, {}, deadline));
    int column = 0;
    ServerFacts facts;
    facts.version = static_cast<int>(rows.integer(0, column++));
    facts.version_text = rows.bytes(0, column++);
    facts.now = rows.time(0, column++);
    facts.is_in_recovery = rows.boolean(0, column++);
    facts.is_read_only = rows.boolean(0, column++);
    facts.user = rows.bytes(0, column++);
    facts.synchronous_commit = rows.bytes(0, column++);
    facts.has_fsync = rows.boolean(0, column++);
    facts.has_full_page_writes = rows.boolean(0, column++);
    facts.has_autovacuum = rows.boolean(0, column++);
    facts.ids_until_wraparound = rows.integer(0, column++);
    facts.connections = rows.integer(0, column++);
    facts.connections_max = rows.integer(0, column++);
    facts.sees_sessions = rows.boolean(0, column++);
    facts.oldest_snapshot = holder_at(rows, column);
    column += 2;
    facts.oldest_prepared = holder_at(rows, column);
    co_return facts;
}

Task<Result<std::vector<MissingRights>>> missing_rights(
    pg::Connection& connection, Deadline deadline
) {
    TXS_CO_TRY(const auto rows, co_await connection.run(kRights, {}, deadline));
    std::vector<MissingRights> missing;
    for (std::size_t i = 0; i < rows.size(); ++i)
        missing.push_back({std::string(rows.bytes(i, 0)), std::string(rows.bytes(i, 1))});
    co_return missing;
}

Task<Result<std::int64_t>> ids_drawn_at_once(pg::Connection& connection, Deadline deadline) {
    TXS_CO_TRY(const auto rows, co_await connection.run(kDrawn, {}, deadline));
    if (rows.empty())
        co_return fail(Code::corrupt, "the ids of txstream.outbox come from no sequence");
    co_return rows.integer(0, 0);
}

}  // namespace txstream::outbox
