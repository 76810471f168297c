-- wrk script: POST orders, each with a number of its own. Arguments: the file with the order, and a prefix of the numbers.
local threads = 0

function setup(thread)
    threads = threads + 1
    thread:set("thread_number", threads)
end

function init(args)
    local file = assert(io.open(args[1]))
    local before, after = file:read("a"):match('^(.*"order_number": ")[^"]*(".*)$')
    file:close()
    first_part, last_part = assert(before), after
    prefix = args[2] .. "-" .. thread_number .. "-"
    count = 0
    wrk.method = "POST"
    wrk.headers["Content-Type"] = "application/json"
end

function request()
    count = count + 1
    return wrk.format(nil, nil, nil, first_part .. prefix .. count .. last_part)
end

function done(summary, latency)
    local errors = summary.errors
    io.write(string.format(
        '{"requests": %d, "seconds": %.6f, "failed": %d, "p50_ms": %.2f, "p99_ms": %.2f}\n',
        summary.requests, summary.duration / 1e6,
        errors.connect + errors.read + errors.write + errors.status + errors.timeout,
        latency:percentile(50) / 1000, latency:percentile(99) / 1000))
end
